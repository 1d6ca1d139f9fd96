package gateway_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/guard"
)

// harmful are requests of a session, by the rule that each breaks.
var harmful = []struct {
	rule    guard.Rule
	version int
	request string
}{
	{guard.EIOMismatch, 4, get("/socket.io/?EIO=3&transport=polling&sid=" + aSID)},
	{guard.BinaryPayload, 4, postOf("EIO=4", "4a", "Content-Type: application/octet-stream")},
	{guard.Attachments, 4, postOf("EIO=4", `4511-["a"]`)},
	{guard.Attachments, 4, postOf("EIO=4", "2\x1e450-[\"a\"]")},
	{guard.Attachments, 4, postOf("EIO=4&j=0", "d=451e9-%5B%22a%22%5D")},
	{guard.Attachments, 4, postOf("EIO=4&j=0", "x=1&d=40")}, // no browser sends it, so nobody knows what a node reads in it
	{guard.Attachments, 3, postOf("EIO=3", `10:4511-["a"]`)},
	{guard.Attachments, 3, postOf("EIO=3", `1e1:4511-["a"]`)}, // a length that Node takes for one
	{guard.EventName, 4, postOf("EIO=4", `42[{}]`)},
	{guard.EventName, 4, postOf("EIO=4", `42["`+strings.Repeat("a", 200<<10)+"\"]\x1e42[{}]")}, // forwarded in pieces
}

func postOf(query, body string, lines ...string) string {
	return request("POST", "/socket.io/?"+query+"&transport=polling&sid="+aSID, body, append(lines, lengthOf(body))...)
}

// A request that breaks a rule reaches no node whole, on its page's terms; where the rule only reports, it goes its way. Both are counted.
func TestGuard(t *testing.T) {
	t.Parallel()
	for _, report := range []bool{false, true} {
		for i, h := range harmful {
			t.Run(fmt.Sprintf("%d %s, report %v", i, h.rule, report), func(t *testing.T) {
				t.Parallel()
				n := startNode(t, "n1", engine(aSID))
				outcome := "refused"
				s := startGateway(t, withNodes(n), func(o *siteOptions) {
					if report {
						o.routes[0].Guard.Report.Add(h.rule)
						outcome = "reported"
					}
				})
				b := sessionOn(n)
				b.Version = h.version
				s.bindAs(aSID, b)
				text := strings.Replace(h.request, "\r\n", "\r\nOrigin: https://page.example\r\n", 1)
				for _, send := range []func(testing.TB, string, string) *rawClient{raw, rawBytewise} {
					c := send(t, s.addr, text)
					if report {
						eventually(t, "the node has the request", func() bool { return n.wholeRequests() > 0 })
						break
					}
					if a := c.answer(); a.StatusCode != 400 || a.Text != badRequest || a.Header.Get("Access-Control-Allow-Origin") != "https://page.example" {
						t.Errorf("answered %d %q %v", a.StatusCode, a.Text, a.Header)
					}
				}
				if !report && n.wholeRequests() > 0 {
					t.Errorf("the node received …%q", tail([]byte(n.received())))
				}
				eventually(t, "it is counted", func() bool {
					return s.metric("sidway_guard_total", h.rule.String(), outcome) == map[bool]float64{false: 2, true: 1}[report]
				})
			})
		}
	}
}

// A rule that only reports turns no other off: the payload is read as the session's revision has it.
func TestGuardReadsTheSessionsRevision(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n), func(o *siteOptions) { o.routes[0].Guard.Report.Add(guard.EIOMismatch) })
	b := sessionOn(n)
	b.Version = 4
	s.bindAs(aSID, b)
	for _, body := range []string{"42[{}]", `4511-["a"]`, "42[{}]" + strings.Repeat(" ", 200<<10)} {
		if a := raw(t, s.addr, postOf("EIO=3", body)).answer(); a.StatusCode != 400 {
			t.Errorf("%.20q: %d %q", body, a.StatusCode, a.Text)
		}
	}
	if n.wholeRequests() > 0 {
		t.Errorf("the node received …%q", tail([]byte(n.received())))
	}
}

// The node of a session that was begun by JSONP reads its POSTs as forms, whatever they say of themselves.
func TestGuardOfJSONPSessions(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n))
	b := sessionOn(n)
	b.JSONP = true
	s.bindAs(aSID, b)
	if a := raw(t, s.addr, postOf("EIO=4", "4a&d=42[{}]")).answer(); a.StatusCode != 400 || n.wholeRequests() > 0 {
		t.Errorf("without j: %d %q", a.StatusCode, a.Text)
	}
	if a := raw(t, s.addr, postOf("EIO=4&j=1", "d=40")).answer(); a.StatusCode != 200 {
		t.Errorf("with j: %d %q", a.StatusCode, a.Text)
	}
}

// What clients send breaks no rule.
func TestGuardLetsClientsBe(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(n))
	s.bind(aSID, n)
	for _, body := range []string{
		"40", `42["a",{"b":[{}]}]`, `4510-["a"]` + strings.Repeat("\x1ebAAAA", 10), `461-7[{"_placeholder":true,"num":0}]`, `42/chat,12["a"]`, `43[{}]`, "3",
	} {
		if a := raw(t, s.addr, postOf("EIO=4", body)).answer(); a.StatusCode != 200 {
			t.Errorf("%q: %d %q", body, a.StatusCode, a.Text)
		}
	}
	if got := s.metric("sidway_guard_total"); got != 0 {
		t.Errorf("%v are counted as harmful", got)
	}
}

// A sid that every object of JavaScript has is nobody's, and counted.
func TestInheritedSID(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	var log syncBuffer
	s := startGateway(t, withNodes(n), withAccessLog(slog.New(slog.NewTextHandler(&log, nil))))
	for _, r := range []string{
		get(pollTarget("__proto__")), get(upgradeTarget("constructor"), asksWebSocket...), request("POST", pollTarget("toString"), "40", lengthOf("40")),
	} {
		if a := raw(t, s.addr, r).answer(); a.StatusCode != 400 {
			t.Errorf("%q: %d %q", r, a.StatusCode, a.Text)
		}
	}
	if got := n.received(); got != "" {
		t.Errorf("the node received %q", got)
	}
	eventually(t, "they are counted", func() bool { return s.metric("sidway_guard_total", "inherited-sid", "refused") == 3 }) // when they are answered
	for _, kind := range []string{"poll", "upgrade", "post"} {
		eventually(t, "there is a line of a "+kind, func() bool { return strings.Count(log.String(), " kind="+kind+" cluster=c1") == 1 })
	}
}
