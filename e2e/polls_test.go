package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Both replicas are started anew, one after the other, while sessions that only poll are quiet or busy: none of them notices. The
// quiet ones' polls would hang for longer than the deadline.
func TestPollingSessionsSurviveARollingRestart(t *testing.T) {
	for _, c := range []struct {
		kind    kind
		library int
	}{{node48, 4}, {node48, 2}, {node25, 2}, {nodeGo, 4}} {
		t.Run(fmt.Sprintf("%s, client %d", c.kind, c.library), func(t *testing.T) {
			s := startSite(t, pings{}, c.kind, c.kind)
			start := func(pace int) *clients {
				p := s.small(map[string]int{"polling": 20})
				p.Library = c.library
				if c.kind == nodeGo { // which hands messages that come at once to goroutines
					p.Window = 1
				}
				d := startClients(t, p)
				d.connect(t)
				d.begin(t, pace)
				d.sent(t, 20)
				return d
			}
			quiet, busy := start(12_000), start(pace)
			for _, r := range s.replicas {
				began := time.Now()
				r.signal(t, syscall.SIGTERM)
				if code := r.exit(t); code != 0 {
					t.Errorf("a replica ended with %d", code)
				}
				t.Logf("it ended after %v", time.Since(began))
				r.run(t)
				busy.sent(t, 200)
			}
			quiet.sent(t, 20)

			after := statsOf(t, s.nodes)
			for _, d := range []*clients{quiet, busy} {
				d.finish(t).flaws(after).check(t)
				d.leave(t)
			}
			s.checkAllLeft(t)
		})
	}
}

// A session whose poll was released goes on, and may still upgrade.
func TestReleasedSessionUpgrades(t *testing.T) {
	for _, k := range []kind{node48, node25, nodeGo} {
		for _, version := range []int{3, 4} {
			if k == node25 && version == 4 || k == nodeGo && version == 3 {
				continue
			}
			t.Run(fmt.Sprintf("%s, EIO %d", k, version), func(t *testing.T) {
				s := startSite(t, pings{}, k)
				query := fmt.Sprintf("/socket.io/?EIO=%d&transport=polling", version)
				ask := func(method, body string) (string, error) {
					q, err := http.NewRequestWithContext(t.Context(), method, scheme+s.replicas[0].listen+query, strings.NewReader(body))
					if err != nil {
						return "", err
					}
					a, err := browser(t).Do(q)
					if err != nil {
						return "", err
					}
					defer a.Body.Close()
					text, err := io.ReadAll(a.Body)
					return string(text), err
				}
				must := func(method, body, want string) string {
					t.Helper()
					text, err := ask(method, body)
					if err != nil || !strings.Contains(text, want) {
						t.Fatalf("%s: %q, want %q: %v", method, text, want, err)
					}
					return text
				}
				_, rest, _ := strings.Cut(must("GET", "", `"sid":"`), `"sid":"`)
				sid, _, _ := strings.Cut(rest, `"`)
				query += "&sid=" + sid
				if version == 4 { // else the node connects the client by itself
					must("POST", "40", "ok")
				}
				var hello []string
				for hello == nil { // the last that the node says by itself
					hello = regexp.MustCompile(`42(\d*)\["hello"`).FindStringSubmatch(must("GET", "", ""))
				}
				if hello[1] != "" { // barenode holds upgrades until its greeting has arrived
					must("POST", "43"+hello[1]+"[]", "ok")
				}
				polls := `sidway_requests_total{cluster="chat",kind="poll"}`
				before := s.replicas[0].metric(t, polls)
				released := make(chan string, 1)
				go func() {
					text, err := ask("GET", "")
					released <- fmt.Sprint(text, err)
				}()
				eventually(t, "the poll waits", func() bool { return s.replicas[0].metric(t, polls) == before+1 })
				s.replicas[0].signal(t, syscall.SIGTERM)
				if got, want := <-released, map[int]string{3: "1:6<nil>", 4: "6<nil>"}[version]; got != want {
					t.Fatalf("released with %q", got)
				}

				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				var ws *websocket.Conn
				eventually(t, "the node has heard that the upgrade was given up", func() bool {
					c, _, err := websocket.Dial(ctx, scheme+s.replicas[1].listen+strings.Replace(query, "polling", "websocket", 1),
						&websocket.DialOptions{HTTPClient: browser(t)})
					if err != nil {
						return false
					}
					if ws = c; ws.Write(ctx, websocket.MessageText, []byte("2probe")) != nil {
						return false
					}
					_, got, err := ws.Read(ctx)
					return err == nil && string(got) == "3probe"
				})
				defer ws.CloseNow()
				for _, text := range []string{"5", `420["settle"]`} {
					if err := ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
						t.Fatal(err)
					}
				}
				if _, got, err := ws.Read(ctx); err != nil || !strings.HasPrefix(string(got), "430[") {
					t.Fatalf("heard %q: %v", got, err)
				}
			})
		}
	}
}
