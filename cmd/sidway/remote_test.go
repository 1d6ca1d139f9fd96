package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/api"
)

// operator runs commands against a replica.
type operator struct {
	t    *testing.T
	file string
}

// run returns the status, and what was printed.
func (o operator) run(args ...string) (int, string) {
	o.t.Helper()
	var out bytes.Buffer
	status := command{stdout: &out, stderr: &out}.run(o.t.Context(), append(args, "--config", o.file))
	return status, out.String()
}

func (o operator) expect(status int, says string, args ...string) {
	o.t.Helper()
	if got, out := o.run(args...); got != status || !strings.Contains(out, says) {
		o.t.Errorf("%v: %d %s", args, got, out)
	}
}

// watches has a line come up twice while the status is watched, and then ends that as Ctrl-C does.
func (o operator) watches(line string, flags ...string) {
	o.t.Helper()
	ctx, end := context.WithCancel(o.t.Context())
	defer end()
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- command{stdout: w, stderr: w}.run(ctx, append([]string{"status", "--watch", "--config", o.file}, flags...))
		w.Close()
	}()
	in, seen := bufio.NewScanner(r), 0
	for in.Scan() {
		if strings.Contains(in.Text(), line) {
			if seen++; seen == 2 {
				end()
			}
		}
	}
	if status := <-ended; seen < 2 || status != 0 {
		o.t.Errorf("watched: %d times, status %d", seen, status)
	}
}

// A replica is operated by the commands, which find it in its configuration, and its token.
func TestOperating(t *testing.T) {
	a, b := engineiotest.Start(t, engineiotest.Options{}), engineiotest.Start(t, engineiotest.Options{})
	listen := free(t)
	o := operator{t, filepath.Join(t.TempDir(), "sidway.yaml")}
	text := fmt.Sprintf(`listen: %s
admin: {listen: %q, token: secret}
clusters:
  - name: chat
    nodes: [{name: n1, url: %q}, {name: n2, url: %q, labels: {version: v2}}]
`, listen, free(t), a.URL(), b.URL())
	if err := os.WriteFile(o.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s"}, "serve", "--config", o.file)
	p.expect(t, "msg=serving")
	var conns []*websocket.Conn
	open := func() {
		conn, _, err := websocket.Dial(t.Context(), "ws://"+listen+"/socket.io/?EIO=4&transport=websocket", nil)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		go func() {
			for {
				if _, _, err := conn.Read(t.Context()); err != nil {
					conn.CloseNow()
					return
				}
			}
		}()
	}
	for range 6 {
		open()
	}
	o.expect(0, "n2 of chat gets no new sessions; it has 3\n", "drain", "n2")
	o.expect(0, "n2 of chat gets no new sessions; it has 3\n", "drain", "--cluster", "chat", "n2")
	o.expect(0, "n2    draining for ", "status")
	o.expect(0, `"name":"n2"`, "status", "--json")
	o.watches(`","headline":"`, "--json")
	o.watches("n2    draining for ")
	open()
	if n := len(b.Sessions()); n != 3 {
		t.Errorf("the drained node has %d sessions", n)
	}
	o.expect(0, "n2 of chat gets new sessions again\n", "undrain", "n2", "--cluster", "chat")
	status, out := o.run("drain", "n2", "--deadline", "0s", "--wait")
	if status != 0 || !strings.Contains(out, "of 3 sessions left, 50/s, done at ") && !strings.Contains(out, "0 of ") {
		t.Errorf("a drain that is waited for: %d %s", status, out)
	}
	affinitytest.Eventually(t, "no session is left", func() bool { return len(b.Sessions()) == 0 })
	o.expect(0, "n2 of chat gets new sessions again\n", "undrain", "n2")
	o.expect(0, "nodes of chat with version: v2 get 10% of the new sessions\n", "release", "v2", "10%")
	o.expect(0, "new sessions of chat go to all nodes\n", "release", "off")
	o.expect(0, "the settings are read again\n", "reload")

	o.expect(2, `unknown node m2; did you mean n2?`, "drain", "m2")
	o.expect(2, "say which node", "drain")
	o.expect(2, "--deadline soon is no time; write 30s", "drain", "n2", "--deadline", "soon")
	o.expect(2, "--deadline -5m is no time; write 30s", "drain", "n2", "--deadline", "-5m")
	o.expect(1, `404 Not Found: no such cluster as "talk"`, "drain", "n2", "--cluster", "talk")
	o.expect(1, "404 Not Found: no such node of cluster \"chat\" with version: v9", "release", "v9", "10%")
	o.expect(1, "400 Bad Request: share: ", "release", "v2", "lots")
	o.expect(2, "say which version and its share", "release", "v2")
	o.expect(1, "401 Unauthorized: changes need", "drain", "n2", "--cluster", "chat", "--admin.token", "wrong")
	o.expect(1, "no replica's admin address answers at "+listen+": is it the address in admin.listen, and not that of clients? It says 200 OK", "status", "--admin", listen)
	p.signal(t, syscall.SIGTERM)
	p.end(t)
	o.expect(1, "no replica answers at ", "undrain", "n2")
	o.expect(1, "no replica answers at ", "status")
	for _, c := range conns {
		c.CloseNow()
	}
}

// Some answer 200 to whatever is asked: a page, or JSON of their own.
func TestOperatingWhatIsNoReplica(t *testing.T) {
	for _, says := range []struct{ kind, text string }{
		{"text/html", "<html>"}, {"application/json", `{"ok":true}`}, {"application/json", "{}"}, {"application/json", "[]"},
	} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", says.kind)
			io.WriteString(w, says.text)
		}))
		t.Cleanup(other.Close)
		addr := other.Listener.Addr().String()
		for _, args := range [][]string{
			{"health"},
			{"reload"},
			{"status"},
			{"status", "--json"},
			{"drain", "n1"},
			{"drain", "n1", "--cluster", "chat"},
			{"undrain", "n1"},
			{"undrain", "n1", "--cluster", "chat"},
			{"release", "v2", "10%"},
			{"release", "off", "--cluster", "chat"},
			{"trace", "lv_VI97HAXpY6yYWAAAC"},
			{"trace", "lv_VI97HAXpY6yYWAAAC", "--json"},
			{"trace", "lv_VI97HAXpY6yYWAAAC", "--packets"},
			{"move", "lv_VI97HAXpY6yYWAAAC"},
		} {
			want := fmt.Sprintf("no replica's admin address answers at %s: is it the address in admin.listen, and not that of clients? It says 200 OK, %q", addr, says.text)
			if status, stdout, stderr := call(t, none, append(args, "--admin", addr)...); status != 1 || stdout != "" || !strings.Contains(stderr, want) {
				t.Errorf("%q of %s: %d %s%s", args, says.text, status, stdout, stderr)
			}
		}
	}
}

func TestProgressOfADrain(t *testing.T) {
	for want, n := range map[string]api.Node{
		"n2 [..............................] 12 of 12 sessions left, which end by themselves": {Total: 12, Drain: &api.Drain{}},
		"n2 [###############...............] 6 of 12 sessions left, which end by themselves":  {Total: 6, Drain: &api.Drain{}},
		"n2 [##############################] 0 of 12 sessions left":                           {Drain: &api.Drain{Rate: 5}},
	} {
		n.Name = "n2"
		if got := progress(n, 12); got != want {
			t.Errorf("got %s", got)
		}
	}
	again, before := time.Now().Add(time.Minute), time.Now().Add(time.Second)
	waits := progress(api.Node{Name: "n2", Total: 6, Drain: &api.Drain{Deadline: &before, MovesAgain: &again}}, 12)
	if want := "; none is moved before " + again.Format(time.TimeOnly) + ", since five moves in a row went wrong (see sidway status), and the deadline ends them before that"; !strings.HasSuffix(waits, want) {
		t.Errorf("without moves: %s", waits)
	}
	if got := progress(api.Node{Name: "n2"}, 0); got != "n2 [##############################] 0 of 0 sessions left" {
		t.Errorf("without sessions: %s", got)
	}
}
