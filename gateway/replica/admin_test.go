package replica_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/admin"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/limits"
	"github.com/sidway/sidway/gateway/replica"
)

// TestIdleAdminConnectionsAreClosed holds for one that was used, and for one that never sends a request.
func TestIdleAdminConnectionsAreClosed(t *testing.T) {
	for sent, l := range map[string]limits.Limits{
		"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n": {HeaderTime: time.Hour, IdleTime: 10 * time.Millisecond},
		"": {HeaderTime: 10 * time.Millisecond, IdleTime: time.Hour},
	} {
		cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
		r, err := replica.New(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		r.SetAdminTimes(l.HeaderTime, l.IdleTime)
		conn, err := net.Dial("tcp", run(t, r).AdminAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, sent)
		got, err := io.ReadAll(conn)
		if err != nil || strings.HasPrefix(string(got), "HTTP/1.1 200 OK") != (sent != "") {
			t.Errorf("after %q: got %q %v", sent, got, err)
		}
	}
}

func TestTheAdminAddressRefusesAWebPage(t *testing.T) {
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Admin.Hosts = []string{"ops.example.com"}
	r := start(t, cfg)
	for host, want := range map[string]int{"evil.example": 403, "ops.example.com": 200, "localhost:1": 200} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", r.adminURL("/metrics"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: got %d", host, res.StatusCode)
		}
	}
}

// Whoever is on another machine, as a proxy says, gets what the settings give; a reload gives and takes it. The log warns once of an
// address that others reach without a token.
func TestTheAdminAddressFromAnotherMachine(t *testing.T) {
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Admin.Listen = "0.0.0.0:0"
	r := startReloading(t, cfg)
	_, port, _ := net.SplitHostPort(r.AdminAddr().String())
	ask := func(path, token string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1:"+port+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", "192.0.2.1")
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	expect := func(status, metrics, open int) {
		t.Helper()
		if s, m, o := ask("/api/status", "secret"), ask("/metrics", ""), ask("/readyz", ""); s != status || m != metrics || o != open {
			t.Errorf("status with the token %d, metrics without %d, readiness %d", s, m, o)
		}
	}
	expect(403, 403, 200)
	for _, step := range []struct {
		admin           config.Admin
		status, metrics int
	}{
		{config.Admin{OpenMetrics: true}, 403, 200},
		{config.Admin{Token: "secret"}, 200, 401},
		{config.Admin{Token: "secret", OpenMetrics: true}, 200, 200},
		{config.Admin{Token: "another"}, 401, 401},
		{config.Admin{}, 403, 403},
	} {
		step.admin.Listen = cfg.Admin.Listen
		r.must(func(c *config.Config) { c.Admin = step.admin })
		expect(step.status, step.metrics, 200)
	}
	if n := strings.Count(r.log.String(), "there is no admin.token"); n != 1 {
		t.Errorf("warned %d times: %s", n, &r.log)
	}
	for _, quiet := range []config.Admin{{Listen: "127.0.0.1:0"}, {Listen: "0.0.0.0:0", Token: "secret"}} {
		next := *cfg
		next.Admin = quiet
		if log := startReloading(t, &next).log.String(); strings.Contains(log, "admin.token") {
			t.Errorf("%+v: %s", quiet, log)
		}
	}
}

func TestProfilesAreServedWhereTheyAreSetOnly(t *testing.T) {
	for pprof, want := range map[bool]int{false: 404, true: 200} {
		cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
		cfg.Admin.Pprof = pprof
		if status, _ := fetch(t, start(t, cfg).adminURL("/debug/pprof/profile?seconds=1")); status != want {
			t.Errorf("pprof: %v: got %d", pprof, status)
		}
	}
}

// Whoever opens connections to the admin address takes no client's descriptors with them, and keeps no probe from its answer.
func TestAdminConnectionsAreBounded(t *testing.T) {
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	r, err := replica.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.SetAdminTimes(time.Hour, time.Hour)
	running := run(t, r)
	open := func() net.Conn {
		conn, err := net.Dial("tcp", running.AdminAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(patience))
		return conn
	}
	ask := func(conn net.Conn, path string) string {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path)
		defer conn.Close()
		got, _ := io.ReadAll(conn) // an error is a reset: nothing is got then
		return string(got)
	}
	var all []net.Conn
	for range admin.MostConnections {
		all = append(all, open())
	}
	for path, want := range map[string]string{"/metrics": "HTTP/1.1 503 ", "/healthz": "HTTP/1.1 200 ", "/readyz": "HTTP/1.1 200 "} {
		if got := ask(open(), path); !strings.HasPrefix(got, want) || (want == "HTTP/1.1 503 ") != strings.Contains(got, "too many connections") {
			t.Errorf("%s: got %.200q", path, got)
		}
	}
	var last net.Conn
	for range admin.MostConnections {
		last = open()
	}
	if _, err := last.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one far beyond the limit is kept: %v", err)
	}
	for _, conn := range all[:admin.MostConnections/2] {
		conn.Close()
	}
	for !strings.HasPrefix(ask(open(), "/metrics"), "HTTP/1.1 200 ") {
	}
}
