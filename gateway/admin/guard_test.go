package admin_test

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/admin"
)

func TestOnlyKnownHostsAreAnswered(t *testing.T) {
	for _, tt := range []struct {
		listen, hosts, known, unknown string
	}{
		{
			"127.0.0.1:9090", "",
			"127.0.0.1:9090 127.0.0.1 127.1.2.3:1 [::1]:9090 localhost LocalHost:8080",
			"evil.example evil.example:9090 127.0.0.1.evil.example 10.0.0.1:9090 0.0.0.0:9090 sidway localhost.evil.example",
		},
		{"localhost:9090", "", "localhost:9090 127.0.0.1", "evil.example sidway"},
		{
			"[::1]:9090", "ops.example.com *.svc.cluster.local 10.0.0.1 [fd00::1]",
			"[::1] ops.example.com:1 a.b.svc.cluster.local 10.0.0.1:9090 [fd00::1]:9090",
			"a.ops.example.com svc.cluster.local .svc.cluster.local.evil.example 10.0.0.2",
		},
		{
			"0.0.0.0:9090", "",
			"10.0.0.7:9090 [fd00::7]:9090 127.0.0.1:9090 localhost sidway-1:9090",
			"evil.example sidway.default.svc:9090 10.0.0.7.evil.example",
		},
		{":9090", "sidway.default.svc", "10.0.0.7:9090 sidway.default.svc:9090", "evil.example"},
		{"sidway.internal:9090", "", "sidway.internal:9090 10.0.0.7", "evil.example other.internal"},
	} {
		var log bytes.Buffer
		s := server(t, admin.Options{Listen: tt.listen, Hosts: strings.Fields(tt.hosts), Log: slog.New(slog.NewTextHandler(&log, nil))})
		status := func(host string) int {
			r := request(t, "GET", s.URL+"/healthz")
			r.Host = host
			res, body := do(t, s, r)
			if res.StatusCode == 403 && !strings.HasPrefix(body, `{"error":"unknown host `+host+"; ") {
				t.Errorf("%s: got %s", host, body)
			}
			return res.StatusCode
		}
		for _, host := range strings.Fields(tt.known) {
			if got := status(host); got != 200 {
				t.Errorf("on %s, %s: got %d", tt.listen, host, got)
			}
		}
		if log.Len() > 0 {
			t.Errorf("on %s: logged %s", tt.listen, &log)
		}
		for _, host := range strings.Fields(tt.unknown) {
			if got := status(host); got != 403 {
				t.Errorf("on %s, %s: got %d", tt.listen, host, got)
			}
		}
		if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "add it to admin.hosts") {
			t.Errorf("on %s: logged %s", tt.listen, &log)
		}
	}
}

func TestCrossSiteRequestsAreRefused(t *testing.T) {
	s := server(t, admin.Options{Listen: "127.0.0.1:9090"})
	for _, tt := range []struct {
		name, value string
		status      int
	}{
		{"Origin", s.URL, 200},
		{"Origin", "http://evil.example", 403},
		{"Origin", "http://127.0.0.1", 403},
		{"Origin", "null", 403},
		{"Origin", "http://%", 403},
		{"Sec-Fetch-Site", "none", 200},
		{"Sec-Fetch-Site", "same-origin", 200},
		{"Sec-Fetch-Site", "same-site", 403},
		{"Sec-Fetch-Site", "cross-site", 403},
	} {
		r := request(t, "GET", s.URL+"/healthz")
		r.Header.Set(tt.name, tt.value)
		if res, body := do(t, s, r); res.StatusCode != tt.status {
			t.Errorf("%s: %s: got %d %s", tt.name, tt.value, res.StatusCode, body)
		}
	}
}

// Whoever follows a link to the status page gets it; nothing else may come from another site, and no form.
func TestLinksToThePageAreFollowed(t *testing.T) {
	s := server(t, admin.Options{Listen: "127.0.0.1:9090", Page: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") })})
	link := map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
	for _, tt := range []struct {
		target, name, value string // a header that is another
		status              int
	}{
		{"GET /", "", "", 200},
		{"GET /page/main.js", "", "", 403},
		{"GET /api/status", "", "", 403},
		{"GET /metrics", "", "", 403},
		{"POST /", "", "", 403},
		{"GET /", "Sec-Fetch-Dest", "iframe", 403},
		{"GET /", "Sec-Fetch-Mode", "no-cors", 403},
		{"GET /", "Origin", "http://evil.example", 403},
		{"GET /", "Sec-Fetch-Site", "none", 200},
	} {
		method, path, _ := strings.Cut(tt.target, " ")
		r := request(t, method, s.URL+path)
		for name, value := range link {
			r.Header.Set(name, value)
		}
		if tt.name != "" {
			r.Header.Set(tt.name, tt.value)
		}
		if res, body := do(t, s, r); res.StatusCode != tt.status {
			t.Errorf("%s with %s %s: got %d %s", tt.target, tt.name, tt.value, res.StatusCode, body)
		}
	}
}

// talk sends these bytes and returns all that comes back until the server closes.
func talk(t *testing.T, address, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute)) // reached only when something is broken
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("after %q: %v", all, err)
	}
	return string(all)
}

func TestProbesWithoutAHostAreAnswered(t *testing.T) {
	s := server(t, admin.Options{Listen: "127.0.0.1:9090"})
	if got := talk(t, s.Listener.Addr().String(), "GET /readyz HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 200 ") {
		t.Errorf("got %s", got)
	}
}

func TestABodyIsNotWaitedFor(t *testing.T) {
	s := server(t, admin.Options{})
	for _, length := range []string{"Content-Length: 10", "Transfer-Encoding: chunked"} {
		got := talk(t, s.Listener.Addr().String(), "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"+length+"\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.HasSuffix(got, `{"status":"ok"}`) {
			t.Errorf("%s: got %s", length, got)
		}
	}
}
