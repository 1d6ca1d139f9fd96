package replica_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/api"
)

// call asks a replica's API, and returns the status and the body.
func call(t *testing.T, r *running, method, path, body string) (int, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, r.adminURL(path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

func nodeStatus(t *testing.T, r *running, name string) (n api.Node) {
	t.Helper()
	status, text := call(t, r, "GET", "/api/clusters/chat/nodes/"+name, "")
	if err := json.Unmarshal([]byte(text), &n); err != nil || status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	return n
}

// A drain at one replica holds at the other one: no new sessions, and those of both end, by polling and by WebSocket.
func TestDrainAcrossReplicas(t *testing.T) {
	t.Parallel()
	rdb := affinitytest.StartRedis(t)
	nodes := []*engineiotest.Node{engineiotest.Start(t, engineiotest.Options{}), engineiotest.Start(t, engineiotest.Options{})}
	var replicas []*running
	for range 2 {
		cfg := settings(nodes...)
		cfg.Affinity.Redis = rdb.URL()
		replicas = append(replicas, start(t, cfg))
		awaitReady(t, replicas[len(replicas)-1])
	}
	type ended struct {
		node, how string
	}
	ends := make(chan ended, 100)
	for i := range 8 {
		r, before := replicas[i%2], nodeStatus(t, replicas[i%2], "n1").Sessions
		var wait func() string
		if i%4 < 2 {
			conn := open(t, r)
			wait = func() string {
				_, _, err := conn.Read(t.Context())
				conn.CloseNow()
				return fmt.Sprint(websocket.CloseStatus(err) == -1 && err != nil)
			}
		} else {
			_, said := fetch(t, r.url("/socket.io/?EIO=4&transport=polling"))
			_, sid, _ := strings.Cut(said, `"sid":"`)
			sid, _, _ = strings.Cut(sid, `"`)
			wait = func() string {
				for {
					res, err := http.Get(replicas[(i+1)%2].url("/socket.io/?EIO=4&transport=polling&sid=" + sid)) // by the other one
					if err != nil {
						return err.Error()
					}
					body, _ := io.ReadAll(res.Body)
					if res.Body.Close(); string(body) != "2" { // a ping
						return fmt.Sprint(res.StatusCode == 200 && string(body) == "1")
					}
				}
			}
		}
		node := "n2"
		if nodeStatus(t, r, "n1").Sessions > before {
			node = "n1"
		}
		go func() { ends <- ended{node, wait()} }()
	}
	affinitytest.Eventually(t, "all sessions are known everywhere", func() bool {
		return nodeStatus(t, replicas[0], "n1").Total+nodeStatus(t, replicas[0], "n2").Total == 8 &&
			nodeStatus(t, replicas[1], "n1").Total+nodeStatus(t, replicas[1], "n2").Total == 8
	})
	of := nodeStatus(t, replicas[0], "n1").Total
	if status, text := call(t, replicas[0], "POST", "/api/clusters/chat/nodes/n1/drain", `{"deadline":"1s"}`); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	affinitytest.Eventually(t, "the other replica obeys", func() bool { return nodeStatus(t, replicas[1], "n1").Draining })
	for range 4 {
		open(t, replicas[1])
	}
	for range of {
		if e := <-ends; e.node != "n1" || e.how != "true" {
			t.Errorf("a session of %s ended: %s", e.node, e.how)
		}
	}
	for _, r := range replicas {
		affinitytest.Eventually(t, "no session is counted", func() bool { return nodeStatus(t, r, "n1").Total == 0 })
	}
	if n := len(ends); n > 0 {
		t.Errorf("%d sessions of the other node ended", n)
	}
	if status, text := call(t, replicas[1], "DELETE", "/api/clusters/chat/nodes/n1/drain", ""); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	affinitytest.Eventually(t, "it is taken back everywhere", func() bool { return !nodeStatus(t, replicas[0], "n1").Draining })
	open(t, replicas[0])
	if n := nodeStatus(t, replicas[0], "n1").Sessions; n != 1 {
		t.Errorf("%d sessions after the drain", n)
	}
	for _, n := range nodes {
		n.Down()
	}
	for range 8 - of {
		<-ends
	}
}

// What operators have changed holds through a reload, also without Redis; what the API tells is true.
func TestTheAPIOfAReplica(t *testing.T) {
	a, b := engineiotest.Start(t, engineiotest.Options{}), engineiotest.Start(t, engineiotest.Options{})
	cfg := settings(a)
	r := startReloading(t, cfg)
	if status, text := call(t, r.running, "PUT", "/api/clusters/chat/nodes/n2", fmt.Sprintf(`{"url":%q}`, b.URL())); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	if status, text := call(t, r.running, "POST", "/api/clusters/chat/nodes/n1/drain", ""); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	for range 2 {
		open(t, r.running)
	}
	_, said := fetch(t, r.url("/socket.io/?EIO=4&transport=polling"))
	_, sid, _ := strings.Cut(said, `"sid":"`)
	sid, _, _ = strings.Cut(sid, `"`)
	cfg.Clusters[0].MaxBody = 1000
	if status, text := call(t, r.running, "POST", "/api/reload", ""); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	n1, n2 := nodeStatus(t, r.running, "n1"), nodeStatus(t, r.running, "n2")
	if n1.Sessions != 0 || !n1.Draining || n1.Source != "configuration" || n1.Drain == nil {
		t.Errorf("n1: %+v", n1)
	}
	if n2.Sessions != 3 || n2.Tunnels != 2 || n2.Draining || n2.Source != "api" || n2.Drain != nil || !n2.Healthy {
		t.Errorf("n2: %+v", n2)
	}
	status, text := call(t, r.running, "GET", "/api/sessions/"+sid, "")
	if status != 200 || !strings.Contains(text, `"node":"n2"`) || !strings.Contains(text, `"transport":"polling"`) || strings.Contains(text, sid) {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := call(t, r.running, "GET", "/api/sessions/nobody", ""); status != 404 {
		t.Errorf("a session that nobody knows: %d", status)
	}
}
