package gateway_test

import (
	"slices"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
)

func withRoute(change func(*gateway.Route)) siteOption {
	return func(o *siteOptions) { change(&o.routes[0]) }
}

// A page of another origin than the cluster's gets Engine.IO's refusal, which it can read, for all that Socket.IO does, and its
// connection stays.
func TestOrigins(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n), withRoute(func(r *gateway.Route) {
		r.Origins = []string{"https://a.example", "*.b.example", "http://*.c.example:8080"}
	}))
	s.bind(aSID, n)
	for origin, passes := range map[string]bool{
		"": true, "https://a.example": true, "HTTPS://A.EXAMPLE": true, "https://x.b.example": true, "http://x.y.b.example": true, "http://x.c.example:8080": true,
		"http://a.example": false, "https://a.example.evil": false, "https://eviLa.example": false, "https://b.example": false, "https://evilb.example": false,
		"https://x.c.example:8080": false, "http://x.c.example": false, "https://a.example:8443": false, "null": false, "ftp://x.b.example": false,
	} {
		before := n.wholeRequests()
		var lines []string
		if origin != "" {
			lines = append(lines, "Origin: "+origin)
		}
		c := dial(t, s.addr)
		body := "4hi"
		for q, method := range map[string]string{
			get(handshakeTarget, lines...): "GET", get(pollTarget(aSID), lines...): "GET",
			request("POST", postTarget(aSID), body, append(lines, lengthOf(body))...): "POST",
		} {
			if method == "POST" && !passes {
				continue // below, since its connection ends
			}
			c.send(q)
			r := c.answerTo(method)
			if ok := r.StatusCode == 200; ok != passes || !ok && (r.StatusCode != 403 || r.Text != `{"code":4,"message":"Forbidden"}` || r.Header.Get("Access-Control-Allow-Origin") != origin) {
				t.Errorf("%s from %q: answered %d %q %v", method, origin, r.StatusCode, r.Text, r.Header)
			}
		}
		for _, target := range []string{directTarget, upgradeTarget(aSID), "/other"} {
			r := raw(t, s.addr, get(target, slices.Concat(lines, asksWebSocket)...)).start("GET")
			if ok := r.StatusCode == 101; ok != passes && target != "/other" || !passes && (ok || r.StatusCode != 400 && target != "/other") {
				t.Errorf("%s from %q: answered %d", target, origin, r.StatusCode)
			}
		}
		if !passes {
			r := raw(t, s.addr, request("POST", postTarget(aSID), body, append(lines, lengthOf(body))...)).answerTo("POST")
			if r.StatusCode != 403 || n.wholeRequests() != before {
				t.Errorf("POST from %q: answered %d, and the node heard of %d requests", origin, r.StatusCode, n.wholeRequests()-before)
			}
		}
	}
	if s.metric("sidway_local_responses_total", "forbidden") == 0 {
		t.Error("not counted")
	}
}

// Preflights are answered here, and what the node says of CORS is replaced.
func TestCORS(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		c.send(answer(200, "2", "Access-Control-Allow-Origin: *", "Access-Control-Allow-Credentials: false", "Vary: Accept-Encoding"))
	})
	rule := &gateway.CORS{Origins: []string{"https://*.example"}, Credentials: true, MaxAge: 10 * time.Minute}
	s := startGateway(t, withNodes(n), withRoute(func(r *gateway.Route) { r.CORS = rule }))
	s.bind(aSID, n)
	c := dial(t, s.addr)
	for origin, allowed := range map[string]string{"https://a.example": "https://a.example", "https://a.evil": "", "": ""} {
		lines := []string{}
		if origin != "" {
			lines = append(lines, "Origin: "+origin)
		}
		c.send(get(pollTarget(aSID), lines...))
		r := c.answer()
		if got := r.Header.Values("Access-Control-Allow-Origin"); r.StatusCode != 200 || len(got) > 1 || r.Header.Get("Access-Control-Allow-Origin") != allowed ||
			len(r.Header.Values("Access-Control-Allow-Credentials")) != len(got) || !slices.Equal(r.Header.Values("Vary"), []string{"Accept-Encoding", "Origin"}) {
			t.Errorf("%q: %d %v", origin, r.StatusCode, r.Header)
		}
		heard := n.wholeRequests()
		c.send(request("OPTIONS", pollTarget(aSID), "", append(lines, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization")...))
		r = c.answerTo("OPTIONS")
		if h := r.Header; r.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != allowed || h.Get("Access-Control-Max-Age") != "600" && allowed != "" ||
			h.Get("Access-Control-Allow-Credentials") != "true" && allowed != "" || h.Get("Access-Control-Allow-Methods") != "POST" || n.wholeRequests() != heard {
			t.Errorf("a preflight of %q: %d %v, heard by the node: %v", origin, r.StatusCode, h, n.wholeRequests() != heard)
		}
	}
	if s.metric("sidway_local_responses_total", "preflight") != 3 {
		t.Error("not counted as what it is")
	}
}
