package gateway_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// These tests are about what somebody who has only the log and the metrics can find out of a fault.

// faulty answers a request of a session in place of engine, if fails says so.
func faulty(fails func() bool, instead answerer) answerer {
	return func(c *nodeConn, r *nodeRequest) {
		if strings.Contains(r.Head, "sid=") && fails() {
			instead(c, r)
			return
		}
		engine(aSID)(c, r)
	}
}

func always() bool { return true }

func TestErrorsInSessionsAreTold(t *testing.T) {
	t.Parallel()
	const words = "a node answers requests of its sessions with errors"
	unavailable := func(c *nodeConn, _ *nodeRequest) { c.send(answer(503, "no")) }
	for name, k := range map[string]struct {
		request, kind string
	}{
		"polls":    {get(pollTarget(aSID)), "poll"},
		"POSTs":    {post(aSID, "4a"), "post"},
		"upgrades": {get(upgradeTarget(aSID), asksWebSocket...), "upgrade"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, "n1", faulty(always, unavailable))
			s, log := warned(t, withNodes(n))
			s.bind(aSID, n)
			for i := range 6 {
				if i == 4 && log.String() != "" {
					t.Errorf("told too soon: %s", log.String())
				}
				raw(t, s.addr, k.request).expect("", 503, "no")
			}
			s.once(log, fmt.Sprintf("node=n1 address=%s status=503 kind=%s n=5 of=5", n.addr, k.kind), "node_errors", 2)
			if !strings.Contains(log.String(), words) {
				t.Error(log.String())
			}
			if got := s.metric("sidway_node_responses_total", "c1", "n1", k.kind, "5xx"); got != 6 {
				t.Errorf("%v answers are counted", got)
			}
		})
	}
	t.Run("now and then", func(t *testing.T) {
		t.Parallel()
		var asked atomic.Int64
		n := startNode(t, "n1", faulty(func() bool { return asked.Add(1)%30 == 0 }, unavailable))
		s, log := warned(t, withNodes(n))
		s.bind(aSID, n)
		c := dial(t, s.addr)
		for range 300 {
			c.ask(get(pollTarget(aSID)))
		}
		if log.String() != "" {
			t.Error(log.String())
		}
		if got := s.metric("sidway_node_responses_total", "n1", "poll", "2xx"); got != 290 {
			t.Errorf("%v answers are counted", got)
		}
	})
}

// A node that is no more has no series, and what it still answers makes none.
func TestNodesThatAreGoneHaveNoSeries(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	n1, n2 := startNode(t, "n1", holding(release, aSID)), startNode(t, "n2", engine("sid2"))
	c := cluster.New("c1", cluster.LeastSessions, configOf(n1, n2))
	s := startGateway(t, func(o *siteOptions) {
		o.routes = append(o.routes, gateway.Route{Path: "/socket.io/", Cluster: c})
	})
	s.bind(aSID, n1)
	for range 2 {
		raw(t, s.addr, get("/page")).answer()
	}
	held := raw(t, s.addr, get(pollTarget(aSID)))
	eventually(t, "the poll is with the node", func() bool { return strings.Contains(n1.received(), "sid=") })
	if got := s.metric("sidway_node_responses_total", "n1", "ordinary", "2xx"); got != 1 {
		t.Errorf("%v answers of the node are counted", got)
	}
	c.Update(configOf(n2))
	s.Update([]gateway.Route{{Path: "/socket.io/", Cluster: c, Store: s.store}})
	close(release)
	held.expect("", 200, "6")
	if got := s.metric("sidway_node_responses_total", "n1"); got != 0 {
		t.Errorf("%v answers of a node that is no more", got)
	}
}
