package gateway_test

import (
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// TestALoopEnds has a gateway whose only node is the gateway itself.
func TestALoopEnds(t *testing.T) {
	t.Parallel()
	var lines syncBuffer
	var self *cluster.Cluster
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := l.Addr().String()
	g := startGateway(t, withLog(slog.New(slog.NewTextHandler(&lines, nil))), func(o *siteOptions) {
		o.listener = l
		self = cluster.New("c1", cluster.Settings{Method: o.method, Nodes: []cluster.Config{{Name: "self", Address: own, Weight: 1, TLS: nodeTLS()}}})
		o.routes = append(o.routes, gateway.Route{Path: "/socket.io/", Cluster: self})
	})
	g.bind(aSID, &scriptedNode{name: "self"})
	for name, request := range map[string]string{
		"handshake": get(handshakeTarget), "poll": get(pollTarget(aSID)), "page": get("/page"),
		"post": post(aSID, "4hello"), "upgrade": get(upgradeTarget(aSID), asksWebSocket...), "direct connect": get(directTarget, asksWebSocket...),
	} {
		method, _, _ := strings.Cut(request, " ")
		if r := raw(t, g.addr, request).answerTo(method); r.StatusCode != 508 {
			t.Errorf("%s: answered %d %q", name, r.StatusCode, r.Text)
		}
	}
	if n := g.metric("sidway_local_responses_total", "loop"); n != 6 {
		t.Errorf("%v answers are counted", n)
	}
	if n := strings.Count(lines.String(), "go in a circle"); n != 1 || !strings.Contains(lines.String(), "cluster=c1 node=self address="+own) {
		t.Errorf("%d warnings in\n%s", n, lines.String())
	}
	ofSelf := func(f gateway.Fault) bool { return f.Subject == "self" }
	if all := g.faults(); !slices.ContainsFunc(all, func(f gateway.Fault) bool { return ofSelf(f) && f.Reason == "loop" }) {
		t.Errorf("the faults are %+v", all)
	}
	self.Update(cluster.Settings{})
	g.reroute(gateway.Route{Path: "/socket.io/", Cluster: self, Store: g.store})
	if all := g.faults(); slices.ContainsFunc(all, ofSelf) {
		t.Errorf("of a node that is taken out, there are still %+v", all)
	}
}

// The mark that ends loops passes with what others have written there, and nobody can have it left out.
func TestLoopMark(t *testing.T) {
	t.Parallel()
	_, send := echoed(t)
	hasOnly(t, send(get("/open")), "Cdn-Loop", "sidway")
	hasOnly(t, send(get("/open", "Connection: close, CDN-Loop", "CDN-Loop: other; v=1, sidway", "cdn-loop: more")), "Cdn-Loop",
		"other; v=1, sidway", "more", "sidway")
}
