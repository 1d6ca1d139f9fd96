package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio"
)

// An attack does harm to nodes of some versions. It returns the status of the last answer that it got, 0 where it got none.
type attack func(ctx context.Context, t *testing.T, address string) (status int)

// attacks are by the defects that were published. Each needs a node with a package that still has the defect.
var attacks = []struct {
	name    string
	rule    string // that stops it; "": a part of sidway that is no rule
	version string // what the node has, for testdata/vulnerable.mjs
	attack  attack
	status  int    // through sidway
	harm    string // what the node says as it ends, or a figure of its stats
}{
	{"CVE-2026-102599", "eio-mismatch", "ENGINE=engine.io-6.6.9", upgradeInAnotherVersion, 400, "TypeError"},
	{"CVE-2026-59725", "binary-payload", "ENGINE=engine.io-6.6.6", posts("application/octet-stream", "4a"), 400, "unanswered"},
	{"CVE-2026-33151", "attachments", "PARSER=socket.io-parser-4.2.2", attachments(`451e9-["a",{"_placeholder":true,"num":0}]`), 400, "held"},
	{"CVE-2026-69185", "attachments", "PARSER=socket.io-parser-4.2.2", attachments(`450-["a"]`), 400, "held"},
	{"CVE-2023-32695", "event-name", "PARSER=socket.io-parser-4.2.2", posts("text/plain", "40", `42[{"toString":"a"}]`), 400, "TypeError"},
	{"CVE-2023-32695 where the handshake asked for JSONP", "attachments", "PARSER=socket.io-parser-4.2.2", postsOf("&j=0", "text/plain", "d=40", `d=42[{"toString":"a"}]`), 400, "TypeError"},
	{"CVE-2026-33151 by WebSocket", "attachments", "PARSER=socket.io-parser-4.2.2", frames(`451e9-["a",{"_placeholder":true,"num":0}]`, 50), 101, "held"},
	{"CVE-2026-69185 by WebSocket", "attachments", "PARSER=socket.io-parser-4.2.2", frames(`450-["a"]`, 50), 101, "held"},
	{"CVE-2023-32695 by WebSocket", "event-name", "PARSER=socket.io-parser-4.2.2", frames(`42[{"toString":"a"}]`, 0), 101, "TypeError"},
	{"CVE-2023-31125", "", "ENGINE=engine.io-6.4.1", upgradeToUnknown, 400, "TypeError"},
	{"CVE-2022-21676", "", "ENGINE=engine.io-6.1.0", sends(webSocketHead("transport=websocket", "") + "\xf1\x80\x00\x00\x00\x00"), 101, "RangeError"},
	{"CVE-2024-37890", "", "WS=ws-8.17.0", sends(webSocketHead("transport=websocket", strings.Repeat("a:\r\n", 2001))), 431, "TypeError"},
}

// webSocketHead asks for a WebSocket, with further headers before those that say so.
func webSocketHead(query, more string) string {
	return "GET /socket.io/?EIO=4&" + query + " HTTP/1.1\r\nHost: a\r\n" + more +
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
}

// sends is an attack by what is sent on one connection.
func sends(text string) attack {
	return func(ctx context.Context, t *testing.T, address string) int {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer conn.Close()
		_, _ = conn.Write([]byte(text)) // who has read enough may close
		a, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return 0
		}
		defer a.Body.Close()
		return a.StatusCode
	}
}

// upgradeToUnknown upgrades a session to a transport that there is not.
func upgradeToUnknown(ctx context.Context, t *testing.T, address string) int {
	_, sid, _ := strings.Cut(openAt(t, address, ""), "sid=")
	return sends(webSocketHead("transport=none&sid="+sid, ""))(ctx, t, address)
}

// posts is an attack by POSTs of a new session.
func posts(contentType string, bodies ...string) attack { return postsOf("", contentType, bodies...) }

// postsOf is posts for a session whose handshake has more in its query.
func postsOf(query, contentType string, bodies ...string) attack {
	return func(ctx context.Context, t *testing.T, address string) (status int) {
		url := openAt(t, address, query)
		for _, body := range bodies {
			q, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return 0
			}
			q.Header.Set("Content-Type", contentType)
			a, err := browser(t).Do(q)
			if err != nil {
				return 0
			}
			_ = a.Body.Close()
			if status = a.StatusCode; status != http.StatusOK {
				break
			}
		}
		return status
	}
}

// attachments is an attack by a packet and more attachments than any packet should have.
func attachments(packet string) attack {
	return posts("text/plain", "40", packet, strings.TrimSuffix(strings.Repeat("bAAAA\x1e", 50), "\x1e"))
}

// frames is an attack by a packet and attachments on a WebSocket. It waits for the end of that.
func frames(packet string, attachments int) attack {
	return func(ctx context.Context, t *testing.T, address string) int {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		ws, answer, err := websocket.Dial(ctx, "ws://"+address+"/socket.io/?EIO=4&transport=websocket", nil)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer ws.CloseNow()
		_ = ws.Write(ctx, websocket.MessageText, []byte("40")) // its end is seen below
		for said := ""; err == nil && !strings.HasPrefix(said, "40"); {
			var b []byte
			_, b, err = ws.Read(ctx)
			said = string(b)
		}
		_ = ws.Write(ctx, websocket.MessageText, []byte(packet))
		for range attachments {
			_ = ws.Write(ctx, websocket.MessageBinary, []byte{0, 0, 0})
		}
		for err == nil {
			_, _, err = ws.Read(ctx)
		}
		if ctx.Err() == context.DeadlineExceeded {
			t.Error("the WebSocket does not end")
		}
		return answer.StatusCode
	}
}

// openAt opens a polling session of EIO 4, with more in the handshake's query, and returns the URL of its requests.
func openAt(t *testing.T, address, query string) string {
	t.Helper()
	url := "http://" + address + "/socket.io/?EIO=4&transport=polling"
	p := fetch(t, browser(t), request(t, http.MethodGet, url+query, nil))
	m := openPacket.FindStringSubmatch(p.body)
	if m == nil {
		t.Fatalf("the handshake got %+v", p)
	}
	return url + "&sid=" + m[1]
}

// upgradeInAnotherVersion makes a session of EIO 4 and upgrades it in EIO 3, whose pings come from the client.
func upgradeInAnotherVersion(ctx context.Context, t *testing.T, address string) int {
	url := strings.NewReplacer("EIO=4", "EIO=3", "polling", "websocket").Replace(openAt(t, address, ""))
	ws, answer, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		if answer == nil {
			return 0
		}
		return answer.StatusCode
	}
	defer ws.CloseNow()
	for _, packet := range []string{engineio.ProbePing, engineio.PacketUpgrade, "2"} {
		if err := ws.Write(ctx, websocket.MessageText, []byte(packet)); err != nil {
			t.Error(err)
		}
		if packet == engineio.ProbePing {
			if _, pong, err := ws.Read(ctx); err != nil || string(pong) != engineio.ProbePong {
				t.Errorf("%q, %v", pong, err)
			}
		}
	}
	_, _, _ = ws.Read(ctx) // the end of it
	return answer.StatusCode
}

// harmed reports whether a node has come to harm.
func (n *node) harmed(t *testing.T, harm string) bool {
	t.Helper()
	select {
	case <-n.ended:
		return strings.Contains(n.said.String(), harm)
	default:
	}
	if strings.HasSuffix(harm, "Error") {
		return false
	}
	var stats map[string]int
	n.ask(t, map[string]any{"cmd": "stats"}, &stats)
	return stats[harm] > map[string]int{"held": 10}[harm]
}

// comesToHarm attacks and waits for the harm.
func (n *node) comesToHarm(t *testing.T, by attack, address, harm string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		by(ctx, t, address)
	}()
	eventually(t, harm, func() bool { return n.harmed(t, harm) })
	cancel()
	<-done
}

// TestPublishedDefects attacks nodes that have them: through sidway nothing happens, at the node itself, or where the rule only reports,
// the node comes to harm.
func TestPublishedDefects(t *testing.T) {
	store := affinitytest.StartRedis(t)
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			vulnerable := func() *node {
				n := &node{name: "n1", process: start(t, command{
					name: "n1", talks: true, argv: []string{"node", "testdata/vulnerable.mjs"}, env: []string{a.version},
				})}
				var ready struct{ Port int }
				n.hear(t, &ready)
				n.port = ready.Port
				return n
			}
			n := vulnerable()
			r := startReplica(t, store.URL(), []*node{n}, "guard: {frames: true}")
			for range 3 {
				if got := a.attack(t.Context(), t, r.listen); got != a.status {
					t.Errorf("through sidway: status %d, want %d", got, a.status)
				}
			}
			openAt(t, r.listen, "") // it lives, and has read what came before
			if n.harmed(t, a.harm) {
				t.Fatal("the node came to harm through sidway")
			}
			counted := func(r *replica, outcome string) int {
				return r.metric(t, fmt.Sprintf(`sidway_guard_total{cluster="chat",outcome=%q,rule=%q}`, outcome, a.rule))
			}
			if a.rule == "" {
				n.comesToHarm(t, a.attack, n.address(), a.harm)
				return
			}
			if got := counted(r, "refused"); got != 3 {
				t.Errorf("%d are counted as refused, want 3", got)
			}
			n.comesToHarm(t, a.attack, n.address(), a.harm)

			n = vulnerable()
			r = startReplica(t, store.URL(), []*node{n}, fmt.Sprintf("guard: {frames: true, report: [%s]}", a.rule))
			n.comesToHarm(t, a.attack, r.listen, a.harm)
			eventually(t, "it is counted as reported", func() bool { return counted(r, "reported") > 0 })
		})
	}
}
