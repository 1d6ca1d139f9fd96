package gateway_test

import (
	"fmt"
	"testing"

	"github.com/sidway/sidway/affinity"
)

// A request of a session in another revision than the session's reaches no node: an upgrade of that kind ends the
// process of engine.io 6.6.0 to 6.6.9 (CVE-2026-102599).
func TestAnotherVersionThanTheSessions(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"known here": true, "known to the store": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, "n1", engine(aSID))
			store := affinity.NewMemory(10)
			option := withStore(store)
			if !known {
				option = withStore(&wrapStore{Store: store})
			}
			s := startGateway(t, option, withNodes(n))
			b := sessionOn(n)
			const page = "Origin: https://page.example"
			for version := 4; version >= 3; version-- {
				b.Version = version
				s.bindAs(aSID, b)
				for _, other := range map[int][]string{4: {"EIO=3&", ""}, 3: {"EIO=4&"}}[version] {
					target := func(transport string) string {
						return fmt.Sprintf("/socket.io/?%stransport=%s&sid=%s", other, transport, aSID)
					}
					for _, r := range []string{
						get(target("polling"), page),
						get(target("polling")+"&j=0", page),
						request("POST", target("polling"), "4z", page, "Content-Length: 2"),
						request("POST", target("polling"), "2\r\n4z\r\n0\r\n\r\n", page, chunked),
					} {
						a := raw(t, s.addr, r).answer()
						if a.StatusCode != 400 || a.Text != badRequest || a.Header.Get("Access-Control-Allow-Origin") != "https://page.example" {
							t.Errorf("EIO %d, %q: %d %q %v", version, r, a.StatusCode, a.Text, a.Header)
						}
					}
					a := raw(t, s.addr, get(target("websocket"), append(asksWebSocket, page)...)).answer()
					if a.StatusCode != 400 || a.Text != "Bad request" || a.Header.Get("Access-Control-Allow-Origin") != "https://page.example" {
						t.Errorf("EIO %d, upgrade: %d %q %v", version, a.StatusCode, a.Text, a.Header)
					}
				}
			}
			if got := n.received(); got != "" {
				t.Errorf("the node received …%q", tail([]byte(got)))
			}
			if got := s.metric("sidway_local_responses_total", "version_mismatch"); got != 15 {
				t.Errorf("%v answers are counted, want 15", got)
			}

			// A preflight makes nothing of the version and goes its way; so does the session itself.
			if a := raw(t, s.addr, request("OPTIONS", "/socket.io/?EIO=4&transport=polling&sid="+aSID, "", page)).answerTo("OPTIONS"); a.StatusCode != 204 {
				t.Errorf("preflight: %d", a.StatusCode)
			}
			n.conn(0).await("OPTIONS ")
			raw(t, s.addr, get("/socket.io/?transport=polling&sid="+aSID)).expect("", 200, "6")
		})
	}
}

// Version 4 has no binary payloads, and CVE-2026-59725 is what some nodes make of one, so
// that no node gets any. In version 3 clients send them.
func TestBinaryPayload(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n))
	const binary, page = "Content-Type: application/octet-stream", "Origin: https://page.example"
	post := func(version int, body, framing string) string {
		return request("POST", fmt.Sprintf("/socket.io/?EIO=%d&transport=polling&sid=%s", version, aSID), body, binary, page, framing)
	}
	b := sessionOn(n)
	b.Version = 4
	s.bindAs(aSID, b)
	twice := request("POST", postTarget(aSID), "4x", "Content-Type: text/plain", binary, page, lengthOf("4x")) // of which a node could read either
	for _, r := range []string{post(4, "4x", "Content-Length: 2"), post(4, "2\r\n4x\r\n0\r\n\r\n", chunked), twice} {
		a := raw(t, s.addr, r).answer()
		if a.StatusCode != 400 || a.Text != badRequest || a.Header.Get("Access-Control-Allow-Origin") != "https://page.example" {
			t.Errorf("%q: %d %q %v", r, a.StatusCode, a.Text, a.Header)
		}
	}
	if got := n.received(); got != "" {
		t.Errorf("the node received …%q", tail([]byte(got)))
	}
	b.Version = 3
	s.bindAs(aSID, b)
	raw(t, s.addr, post(3, "\x00\x02\xff4x", "Content-Length: 5"))
	n.conn(0).await("POST ")
}
