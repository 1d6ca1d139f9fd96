package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway"
)

// redirecting has the listener send clients away. The hook knows one challenge.
func redirecting(port uint16) siteOption {
	return func(o *siteOptions) {
		o.listen.Redirect = &gateway.Redirect{Port: port, Challenge: func(host, token string) (string, bool) {
			return "key of " + host, token == "To-ken_1" && host == "chat.example.com"
		}}
	}
}

// A listener that redirects serves nobody, and sends clients nowhere but to the hosts of clusters.
func TestRedirect(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(*nodeConn, *nodeRequest) { t.Error("a request reached the node") })
	g := startGateway(t, withCluster("chat.example.com", "/socket.io/", n), withCluster("*.example.org", "/socket.io/", n), redirecting(0))
	other := startGateway(t, withNodes(n), redirecting(8443))
	at := func(host, line string) string { return line + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n" }
	for head, want := range map[string]string{
		get("/a/b?c=d&e=%0d%0aX:"):                                "308 https://chat.example.com/a/b?c=d&e=%0d%0aX:",
		get(handshakeTarget, "Origin: https://page.example.com"):  "308 https://chat.example.com" + handshakeTarget,
		get(directTarget, asksWebSocket...):                       "308 https://chat.example.com" + directTarget,
		request("POST", "/x", "body", lengthOf("body")):           "308 https://chat.example.com/x",
		at("CHAT.example.com.:80", "GET /"):                       "308 https://CHAT.example.com/",
		at("a.example.org:8080", "GET //evil.example/%2e%2e"):     "308 https://a.example.org//evil.example/%2e%2e",
		at("chat.example.com", "GET http://chat.example.com/x?y"): "308 https://chat.example.com/x?y",
		at("evil.example", "GET /"):                               "421 ",
		at("chat.example.com@evil.example", "GET /"):              "400 ",
		at("chat.example.com/evil.example", "GET /"):              "400 ",
		at(":80", "GET /"):                                        "400 ",
		at("chat.example.com", "OPTIONS *"):                       "400 ",
		"GET /x HTTP/1.0\r\n\r\n":                                 "400 ",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":            "400 ",
		"\x16\x03\x01\x02\x00\r\n\r\n":                            "400 ",
		get("/.well-known/acme-challenge/other"):                  "308 https://chat.example.com/.well-known/acme-challenge/other",
		get("/.well-known/acme-challenge/../To-ken_1"):            "308 https://chat.example.com/.well-known/acme-challenge/../To-ken_1",
	} {
		r := raw(t, g.addr, head).answer()
		if got := fmt.Sprintf("%d %s", r.StatusCode, r.Header.Get("Location")); got != want {
			t.Errorf("%q: got %s, want %s", head, got, want)
		}
		if origin := r.Header.Get("Access-Control-Allow-Origin"); strings.Contains(head, "Origin") != (origin == "https://page.example.com") {
			t.Errorf("%q: Access-Control-Allow-Origin is %q", head, origin)
		}
	}
	c := dial(t, other.addr)
	for _, host := range []string{"any.example", "[::1]:8080"} { // on one connection
		c.send(at(host, "GET /"))
		if got := c.answer().Header.Get("Location"); got != "https://"+strings.TrimSuffix(host, ":8080")+":8443/" {
			t.Errorf("%s: sent to %s", host, got)
		}
	}
	if got := g.metric("sidway_local_responses_total", "redirect"); got != 9 {
		t.Errorf("%v are counted", got)
	}
}

// Challenges of certificate authorities are answered by whoever asks for the certificate.
func TestChallenge(t *testing.T) {
	t.Parallel()
	g := startGateway(t, withNodes(startNode(t, "n1", nil)), redirecting(0))
	c := dial(t, g.addr)
	for range 2 {
		c.send(get("/.well-known/acme-challenge/To-ken_1"))
		if r := c.answer(); r.StatusCode != 200 || r.Text != "key of chat.example.com" {
			t.Errorf("answered %d %q", r.StatusCode, r.Text)
		}
	}
	if g.metric("sidway_local_responses_total", "challenge") != 2 {
		t.Error("not counted")
	}
}
