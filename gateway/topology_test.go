package gateway_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

func configOf(nodes ...*scriptedNode) []cluster.Config {
	var all []cluster.Config
	for _, n := range nodes {
		all = append(all, cluster.Config{Name: n.name, Address: n.addr, Weight: 1, TLS: nodeTLS()})
	}
	return all
}

// Routes and nodes change while requests are under way: those go on as they began, what comes later finds the new ones, and
// nothing is kept of what is no more.
func TestTopologyChangesWhileItWorks(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	unblock := sync.OnceFunc(func() { close(release) })
	old := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if r.URL.Query().Get("hold") != "" {
			<-release
		}
		plainly(c, r)
	})
	moved, added := startNode(t, "n1", nil), startNode(t, "n2", nil)
	c := cluster.New("c1", cluster.Settings{Nodes: configOf(old)})
	s := startGateway(t, func(o *siteOptions) {
		o.routes = append(o.routes, gateway.Route{Path: "/socket.io/", Cluster: c})
	})
	t.Cleanup(unblock)
	s.bind(aSID, old)
	held, kept := raw(t, s.addr, get(pollTarget(aSID)+"&hold=1")), dial(t, s.addr)
	old.conn(0).await("hold")
	kept.expect(get("/page"), 200, "n1 GET /page ")
	route := gateway.Route{Path: "/socket.io/", Cluster: c, Store: s.store}

	c.Update(cluster.Settings{Nodes: configOf(moved, added)})
	s.reroute(route)
	eventually(t, "the idle connection is closed", func() bool {
		select {
		case <-old.conn(1).gone:
			return true
		default:
			return false
		}
	})
	kept.expect(get(pollTarget(aSID)), 200, "n1 GET /socket.io/ ")
	if n := len(moved.all()); n != 1 {
		t.Errorf("%d connections to the node's new address", n)
	}
	select {
	case <-old.conn(0).gone:
		t.Error("a poll under way was ended")
	default:
	}
	unblock()
	held.expect("", 200, "n1 GET /socket.io/ ")

	other := cluster.New("c2", cluster.Settings{Nodes: configOf(added)})
	s.reroute(gateway.Route{Path: "/ws/", Hosts: []string{"chat.example.com"}, Cluster: other, Store: s.store})
	kept.expect(get("/page"), 200, "n2 GET /page ")
	if got := s.metric("sidway_requests_total", "c1"); got != 0 {
		t.Errorf("%v requests of a cluster that is no more", got)
	}
	if got := s.metric("sidway_requests_total", "c2"); got != 1 {
		t.Errorf("%v requests of the new cluster", got)
	}
	s.clusters = []*cluster.Cluster{other}
}

// Polls go on through a thousand changes, with the race detector looking.
func TestTopologyChangesUnderLoad(t *testing.T) {
	t.Parallel()
	a, b := startNode(t, "n1", nil), startNode(t, "n2", nil)
	c := cluster.New("c1", cluster.Settings{Nodes: configOf(a, b)})
	s := startGateway(t, func(o *siteOptions) {
		o.routes = append(o.routes, gateway.Route{Path: "/socket.io/", Cluster: c})
	})
	s.bind(aSID, a)
	done := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			client := dial(t, s.addr)
			for {
				select {
				case <-done:
					return
				default:
				}
				if status, body := client.ask(get(pollTarget(aSID))); status != 200 || !strings.HasPrefix(body, "n1 ") {
					t.Errorf("%d %q", status, body)
					return
				}
			}
		})
	}
	lists := [][]cluster.Config{configOf(a), configOf(a, b), configOf(b, a)}
	for i := range 300 {
		c.Update(cluster.Settings{Nodes: lists[i%len(lists)]})
		s.reroute(gateway.Route{Path: "/socket.io/", MaxBody: int64(1000 + i), Cluster: c, Store: s.store})
	}
	close(done)
	clients.Wait()
}
