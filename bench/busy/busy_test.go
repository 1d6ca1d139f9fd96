package busy_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/bench/busy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start returns one node and its address.
func start(t *testing.T, work time.Duration) (*busy.Nodes, string) {
	t.Helper()
	nodes := busy.Start(1, work)
	t.Cleanup(nodes.Close)
	return nodes, nodes.Stats()[0].Addr
}

// send sends a request on a connection of its own and returns the answer's body, "" if ctx has ended before.
func send(ctx context.Context, t *testing.T, method, url, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		if ctx.Err() == nil {
			t.Error(err)
		}
		return ""
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil && ctx.Err() == nil {
		t.Error(err)
	}
	return string(b)
}

func handshake(addr string) string { return "http://" + addr + "/socket.io/?EIO=4&transport=polling" }

// await polls the node's counters, which nobody announces.
func await(t *testing.T, nodes *busy.Nodes, handshakes int) {
	t.Helper()
	for ; nodes.Stats()[0].Handshakes < handshakes; time.Sleep(time.Millisecond) {
		if t.Context().Err() != nil {
			t.Fatal("too few handshakes")
		}
	}
}

func TestHandshakesAreDoneOneByOne(t *testing.T) {
	const work, count = 50 * time.Millisecond, 4
	nodes, addr := start(t, work)
	begin := time.Now()
	var wg sync.WaitGroup
	for range count {
		wg.Go(func() { send(t.Context(), t, http.MethodGet, handshake(addr), "") })
	}
	wg.Wait()
	if took := time.Since(begin); took < count*work {
		t.Errorf("%d handshakes of %s took %s", count, work, took)
	}
	if s := nodes.Stats()[0]; s.Handshakes != count || s.Polls != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAbortedHandshakesTakeTheirTime(t *testing.T) {
	const work = 200 * time.Millisecond
	nodes, addr := start(t, work)
	begin := time.Now()
	ctx, abort := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { send(ctx, t, http.MethodGet, handshake(addr), "") })
	}
	await(t, nodes, 3)
	abort()
	wg.Wait()
	send(t.Context(), t, http.MethodGet, handshake(addr), "")
	if took := time.Since(begin); took < 4*work {
		t.Errorf("the fourth handshake was done after %s", took)
	}
}

func TestSessionsDoNotWaitForHandshakes(t *testing.T) {
	nodes, addr := start(t, time.Second)
	m := regexp.MustCompile(`"sid":"([^"]+)"`).FindStringSubmatch(send(t.Context(), t, http.MethodGet, handshake(addr), ""))
	if m == nil {
		t.Fatal("no session")
	}
	ctx, abort := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer abort()
	const others = 60
	var done atomic.Int32
	for range others {
		wg.Go(func() {
			if send(ctx, t, http.MethodGet, handshake(addr), ""); ctx.Err() == nil {
				done.Add(1)
			}
		})
	}
	await(t, nodes, 1+others) // a minute of work
	if answer := send(t.Context(), t, http.MethodPost, handshake(addr)+"&sid="+m[1], "4hello"); answer != "ok" {
		t.Errorf("post: %q", answer)
	}
	if answer := send(t.Context(), t, http.MethodGet, handshake(addr)+"&sid="+m[1], ""); answer != "4hello" {
		t.Errorf("poll: %q", answer)
	}
	if done.Load() == others {
		t.Error("the handshakes were done first")
	}
}

func TestAsk(t *testing.T) {
	nodes, addr := start(t, 0)
	server := httptest.NewServer(nodes)
	defer server.Close()
	control := strings.TrimPrefix(server.URL, "http://")
	list, err := busy.Ask(t.Context(), control)
	if err != nil || len(list) != 1 || list[0] != (busy.Stats{Addr: addr}) {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := busy.Ask(t.Context(), "127.0.0.1:1"); err == nil {
		t.Error("nobody answered for nobody")
	}
}
