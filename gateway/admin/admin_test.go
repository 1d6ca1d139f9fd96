package admin_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sidway/sidway/gateway/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func server(t *testing.T, o admin.Options) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(admin.New(o))
	t.Cleanup(func() {
		s.Client().CloseIdleConnections()
		s.Close()
	})
	return s
}

// serve starts the handler on a socket of its own.
func serve(t *testing.T, o admin.Options) (ask func(method, path string) (*http.Response, string)) {
	t.Helper()
	s := server(t, o)
	return func(method, path string) (*http.Response, string) {
		t.Helper()
		return do(t, s, request(t, method, s.URL+path))
	}
}

func request(t *testing.T, method, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func do(t *testing.T, s *httptest.Server, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestAnswers(t *testing.T) {
	down := fmt.Errorf("starting: %w", errors.Join(errors.New("no node is healthy"), errors.New("shutting down")))
	for _, tt := range []struct {
		name, method, path string
		ready              error
		status             int
		body               string
	}{
		{"alive", "GET", "/healthz", nil, 200, `{"status":"ok"}`},
		{"alive though not ready", "GET", "/healthz", down, 200, `{"status":"ok"}`},
		{"ready", "GET", "/readyz", nil, 200, `{"status":"ready"}`},
		{"ready by HEAD", "HEAD", "/readyz", nil, 200, ""},
		{"not ready by HEAD", "HEAD", "/readyz", down, 503, ""},
		{"not ready", "GET", "/readyz", errors.New("shutting down"), 503, `{"status":"not ready","reasons":["shutting down"]}`},
		{"not ready for two reasons", "GET", "/readyz", down, 503, `{"status":"not ready","reasons":["no node is healthy","shutting down"]}`},
		{"unknown path", "GET", "/", nil, 404, `{"error":"not found"}`},
		{"unknown path with a slash", "GET", "/readyz/", nil, 404, `{"error":"not found"}`},
		{"wrong method", "POST", "/readyz", nil, 405, `{"error":"method not allowed"}`},
		{"no metrics", "GET", "/metrics", nil, 404, `{"error":"not found"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ask := serve(t, admin.Options{Ready: func() error { return tt.ready }})
			res, body := ask(tt.method, tt.path)
			if res.StatusCode != tt.status || body != tt.body {
				t.Errorf("got %d %s", res.StatusCode, body)
			}
			if ct := res.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
				t.Errorf("Content-Type: got %q", ct)
			}
			if tt.status == 405 && res.Header.Get("Allow") != "GET" {
				t.Errorf("Allow: got %q", res.Header.Get("Allow"))
			}
		})
	}
}

func TestReadyWithoutAFunction(t *testing.T) {
	if res, body := serve(t, admin.Options{})("GET", "/readyz"); res.StatusCode != 200 {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
}

// A store that is down is told, and takes no replica out.
func TestReadinessTellsHowTheStoreIs(t *testing.T) {
	down := errors.Join(errors.New("redis is away"), errors.New("and so for talk"))
	for _, tt := range []struct {
		ready, store, rights error
		status               int
		body                 string
	}{
		{nil, nil, nil, 200, `{"status":"ready","store":"up"}`},
		{nil, nil, errors.New("a right is missing"), 200, `{"status":"ready","store":"up","reasons":["a right is missing"]}`},
		{nil, down, errors.New("a right is missing"), 200, `{"status":"ready","store":"down","reasons":["redis is away","and so for talk","a right is missing"]}`},
		{nil, down, nil, 200, `{"status":"ready","store":"down","reasons":["redis is away","and so for talk"]}`},
		{errors.New("stopping"), nil, nil, 503, `{"status":"not ready","store":"up","reasons":["stopping"]}`},
		{errors.New("stopping"), down, nil, 503, `{"status":"not ready","store":"down","reasons":["stopping"]}`},
	} {
		o := admin.Options{Ready: func() error { return tt.ready }, Store: func() error { return tt.store }, Rights: func() error { return tt.rights }}
		if res, body := serve(t, o)("GET", "/readyz"); res.StatusCode != tt.status || body != tt.body {
			t.Errorf("ready: %v, store: %v: got %d %s", tt.ready, tt.store, res.StatusCode, body)
		}
	}
}

func TestMetricsShowTheRegistry(t *testing.T) {
	r := prometheus.NewRegistry()
	polls := prometheus.NewCounter(prometheus.CounterOpts{Name: "sidway_polls_total", Help: "Polls."})
	r.MustRegister(polls)
	polls.Add(3)
	ask := serve(t, admin.Options{Metrics: r})
	res, body := ask("GET", "/metrics")
	if res.StatusCode != 200 || !strings.Contains(body, "\nsidway_polls_total 3\n") {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
	if ct := res.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") {
		t.Errorf("Content-Type: got %q", ct)
	}
}

// broken is a collector that cannot tell its value.
type broken struct{ *prometheus.Desc }

func (b broken) Describe(c chan<- *prometheus.Desc) { c <- b.Desc }

func (b broken) Collect(c chan<- prometheus.Metric) {
	c <- prometheus.NewInvalidMetric(b.Desc, errors.New("broken"))
}

func TestABrokenMetricHidesNoOther(t *testing.T) {
	r := prometheus.NewRegistry()
	nodes := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sidway_nodes", Help: "Nodes."})
	nodes.Set(2)
	r.MustRegister(nodes, broken{prometheus.NewDesc("sidway_broken", "Broken.", nil, nil)})
	ask := serve(t, admin.Options{Metrics: r})
	if res, body := ask("GET", "/metrics"); res.StatusCode != 200 || !strings.Contains(body, "\nsidway_nodes 2\n") {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
}

func TestProfilesAreOffUnlessAskedFor(t *testing.T) {
	ask := serve(t, admin.Options{})
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1"} {
		if res, body := ask("GET", path); res.StatusCode != 404 || !strings.Contains(body, `"error":"not found`) {
			t.Errorf("%s: got %d %s", path, res.StatusCode, body)
		}
	}
}

func TestProfilesAreBoundedInTime(t *testing.T) {
	ask := serve(t, admin.Options{Profiles: true})
	for _, path := range []string{"profile", "trace", "heap", "goroutine"} {
		for _, seconds := range []string{"61", "1e9", "inf", "NaN", "x"} {
			res, body := ask("GET", "/debug/pprof/"+path+"?seconds="+seconds)
			if res.StatusCode != 400 || body != `{"error":"seconds is a number up to 60"}` {
				t.Errorf("%s for %s: got %d %.80s", path, seconds, res.StatusCode, body)
			}
		}
	}
}

func TestProfiles(t *testing.T) {
	ask := serve(t, admin.Options{Profiles: true})
	for path, want := range map[string]string{
		"/debug/pprof/":                  "goroutine",
		"/debug/pprof/goroutine?debug=1": "goroutine profile: total",
		"/debug/pprof/profile?seconds=1": "\x1f\x8b", // gzip
	} {
		if res, body := ask("GET", path); res.StatusCode != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d, without %q", path, res.StatusCode, want)
		}
	}
}
