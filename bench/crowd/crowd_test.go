package crowd_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/bench/busy"
	"github.com/sidway/sidway/bench/crowd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start returns the address of a node and of its control, and a proxy in front of it that f may replace for a request.
func start(t *testing.T, f func(http.ResponseWriter, *http.Request) bool) (node, control string, proxy *httptest.Server) {
	t.Helper()
	nodes := busy.Start(1, time.Millisecond)
	t.Cleanup(nodes.Close)
	node = nodes.Stats()[0].Addr
	c := httptest.NewServer(nodes)
	t.Cleanup(c.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	to := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: node})
	to.Transport = transport
	to.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusServiceUnavailable) }
	proxy = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !f(w, r) {
			to.ServeHTTP(w, r)
		}
	}))
	return node, strings.TrimPrefix(c.URL, "http://"), proxy
}

func addr(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }

// run does a job as the command does.
func run(t *testing.T, j crowd.Job) (r crowd.Result) {
	t.Helper()
	line, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := crowd.Main(strings.NewReader(string(line)), &out); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestStorm(t *testing.T) {
	node, control, _ := start(t, nil)
	r := run(t, crowd.Job{Kind: crowd.Storm, Addr: node, Control: control, Clients: 20, Seconds: 60})
	if r.Back != 20 || len(r.Errors) > 0 || r.Handshakes[0] != 20 || r.Elapsed <= 0 || r.Gap <= 0 || r.Gap > r.Elapsed {
		t.Errorf("%+v", r)
	}
}

// TestClientsComeAgain refuses each client's first attempt, and then ends its first session: it is back after a pause for
// each.
func TestClientsComeAgain(t *testing.T) {
	var mu sync.Mutex
	refused, ended := map[string]bool{}, map[string]bool{}
	first := func(seen map[string]bool, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		defer func() { seen[host] = true }()
		return !seen[host]
	}
	_, control, proxy := start(t, func(w http.ResponseWriter, r *http.Request) bool {
		if sid := r.URL.Query().Has("sid"); !sid && first(refused, r) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		} else if sid && r.Method == http.MethodGet && first(ended, r) {
			fmt.Fprint(w, "1")
			return true
		}
		return false
	})
	proxy.Start()
	defer proxy.Close()
	r := run(t, crowd.Job{Kind: crowd.Storm, Addr: addr(proxy), Control: control, Clients: 3, Seconds: 60})
	want := map[string]int{"status 503": 3, "close packet": 3}
	if r.Back != 3 || !maps.Equal(r.Errors, want) || r.Handshakes[0] != 6 || r.Elapsed < 1 {
		t.Errorf("%+v", r)
	}
}

func TestStormThatFails(t *testing.T) {
	_, control, proxy := start(t, func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	proxy.Start()
	defer proxy.Close()
	r := run(t, crowd.Job{Kind: crowd.Storm, Addr: addr(proxy), Control: control, Clients: 3, Seconds: 2})
	if r.Back != 0 || r.Errors["status 503"] < 3 || r.Elapsed < 2 || r.Gap < 2 {
		t.Errorf("%+v", r)
	}
}

// fragile is a proxy that leaves requests to f when the attacker has come, and then calls cut.
func fragile(t *testing.T, f func(http.ResponseWriter, *http.Request) bool, cut func(*httptest.Server)) (control string, proxy *httptest.Server) {
	t.Helper()
	attacked := make(chan struct{})
	_, control, proxy = start(t, func(w http.ResponseWriter, r *http.Request) bool {
		select {
		case <-attacked:
			return f(w, r)
		default:
			return false
		}
	})
	var cutting sync.WaitGroup
	come := sync.OnceFunc(func() {
		close(attacked)
		cutting.Go(func() { cut(proxy) })
	})
	proxy.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		if strings.HasPrefix(conn.RemoteAddr().String(), "127.0.0.2:") && state == http.StateNew {
			come()
		}
	}
	proxy.Start()
	t.Cleanup(func() { cutting.Wait(); proxy.Close() })
	return control, proxy
}

// TestLostSessionsAreCounted has a proxy that cuts everybody off when the attacker comes.
func TestLostSessionsAreCounted(t *testing.T) {
	control, proxy := fragile(t, func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}, (*httptest.Server).CloseClientConnections)
	r := run(t, crowd.Job{Kind: crowd.Idle, Addr: addr(proxy), Control: control, Clients: 5, Flood: 2, Seconds: 3})
	if r.LostKept != 3 || r.LostFresh != 2 || r.Back != 0 || r.Errors["status 503"] < 5 {
		t.Errorf("%+v", r)
	}
}

// TestUnansweredMessagesCount has a proxy that keeps every POST when the attacker comes.
func TestUnansweredMessagesCount(t *testing.T) {
	control, proxy := fragile(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body) // or nobody would see that the client goes
		<-r.Context().Done()
		return true
	}, func(*httptest.Server) {})
	r := run(t, crowd.Job{Kind: crowd.Idle, Addr: addr(proxy), Control: control, Clients: 2, Flood: 2, Seconds: 3})
	if time.Duration(r.Latency.Max*1000) < time.Second || r.LostKept+r.LostFresh > 0 || r.Back != 2 {
		t.Errorf("%+v", r)
	}
}

// TestFloodsDoNoHarmWithoutALimit runs both floods against a node, which has none.
func TestFloodsDoNoHarmWithoutALimit(t *testing.T) {
	for _, kind := range []string{crowd.Idle, crowd.HalfClosed} {
		node, control, _ := start(t, nil)
		r := run(t, crowd.Job{Kind: kind, Addr: node, Control: control, Clients: 4, Flood: 10, Seconds: 2})
		if r.LostKept+r.LostFresh > 0 || r.Back != 4 || r.Messages == 0 || r.Latency.P99 <= 0 {
			t.Errorf("%s: %+v", kind, r)
		}
		if r.Attempts == 0 || r.Before.Conns == 0 || r.Peak.Conns < r.Before.Conns {
			t.Errorf("%s: %+v", kind, r)
		}
		if kind == crowd.Idle && (r.Attempts != 10 || r.Peak.Conns < 10) {
			t.Errorf("%s: %+v", kind, r)
		}
	}
}

func TestJobs(t *testing.T) {
	for _, line := range []string{
		"", "{", `{"kind":"other","clients":1,"seconds":1}`, `{"kind":"storm","seconds":1}`, `{"kind":"storm","clients":1}`,
		`{"kind":"idle","clients":1,"seconds":1,"flood":-1}`,
	} {
		if err := crowd.Main(strings.NewReader(line), &strings.Builder{}); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}
