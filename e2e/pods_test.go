package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// pods serves EndpointSlices as the API of Kubernetes does, one of each pod, to a single watch at a time.
type pods struct {
	*httptest.Server
	mu      sync.Mutex
	version int
	slices  map[string]map[string]any
	changes chan []byte // events of the watch
}

func startPods(t *testing.T) *pods {
	p := &pods{slices: map[string]map[string]any{}, changes: make(chan []byte, 100)}
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.CloseClientConnections)
	t.Cleanup(p.Close)
	return p
}

func (p *pods) serve(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path != "/apis/discovery.k8s.io/v1/namespaces/chat/endpointslices" {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	if q.FormValue("watch") != "true" {
		p.mu.Lock()
		defer p.mu.Unlock()
		items := []any{}
		for _, s := range p.slices {
			items = append(items, s)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"metadata": map[string]any{"resourceVersion": fmt.Sprint(p.version)}, "items": items})
		return
	}
	for {
		select {
		case <-q.Context().Done():
			return
		case line := <-p.changes:
			if _, err := w.Write(line); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
		}
	}
}

// is tells of a node: ready, terminating, or gone.
func (p *pods) is(n *node, state string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.version++
	slice := map[string]any{
		"metadata":    map[string]any{"name": n.name, "resourceVersion": fmt.Sprint(p.version)},
		"addressType": "IPv4",
		"ports":       []any{map[string]any{"port": n.port}},
		"endpoints": []any{map[string]any{
			"addresses":  []string{"127.0.0.1"},
			"conditions": map[string]any{"ready": state == "ready", "serving": true, "terminating": state == "terminating"},
			"targetRef":  map[string]any{"kind": "Pod", "name": n.name},
		}},
	}
	kind := "MODIFIED"
	if p.slices[n.name] == nil {
		kind = "ADDED"
	}
	p.slices[n.name] = slice
	if state == "gone" {
		kind = "DELETED"
		delete(p.slices, n.name)
	}
	line, _ := json.Marshal(map[string]any{"type": kind, "object": slice})
	p.changes <- append(line, '\n')
}

// Pods come, and one terminates: while it still serves, its sessions move to the others, each once, and nobody else notices.
func TestDiscoveredPods(t *testing.T) {
	s := &site{redis: affinitytest.StartRedis(t), nodes: startNodes(t, pings{}, node48, node48, node48)}
	api := startPods(t)
	api.is(s.nodes[0], "ready")
	<-api.changes // is listed
	r := startReplica(t, s.redis.URL(), nil, "discover: {kubernetes: {service: chat, namespace: chat, api: "+api.URL+"}}", "pace: {handshakes: 50/s, slow_start: 0s}")
	s.replicas, s.front = []*replica{r}, startFront(t, r.listen)
	found := func(n *node) {
		eventually(t, n.name+" is found", func() bool {
			_, text := r.adminPage("/api/clusters/chat/nodes/" + n.name)
			return strings.Contains(text, `"source":"discovery"`)
		})
	}
	found(s.nodes[0])
	first := startClients(t, s.small(busy))
	first.connect(t)
	first.begin(t, pace)

	for _, n := range s.nodes[1:] {
		api.is(n, "ready")
		found(n)
	}
	second := startClients(t, s.small(map[string]int{"polling": 10, "websocket": 10}))
	second.connect(t)
	second.begin(t, pace)
	second.sent(t, 100)

	api.is(s.nodes[0], "terminating")
	eventually(t, "the pod that terminates is empty", func() bool {
		var n struct{ Total int }
		r.api(t, "GET", "/api/clusters/chat/nodes/n1", "", &n)
		return n.Total == 0
	})
	api.is(s.nodes[0], "gone")
	s.nodes[0].signal(t, os.Interrupt)
	eventually(t, "all sessions are back", func() bool {
		for _, c := range first.stats(t).Sessions {
			if !c.Connected || c.Connects != 2 {
				return false
			}
		}
		return true
	})
	first.sent(t, 200)

	all := first.finish(t)
	all.messageFlaws(statsOf(t, s.nodes[1:])).check(t)
	for _, c := range all.Sessions {
		if c.Disconnects != 1 || c.ConnectErrors != 0 || c.Nodes[0] != "n1" || c.Nodes[1] == "n1" {
			t.Errorf("%s: %+v", c.Name, c)
		}
	}
	second.finish(t).flaws(nil).check(t)
	first.leave(t)
	second.leave(t)
}
