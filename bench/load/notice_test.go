//go:build linux

package load_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/bench/load"
)

const openPacket = `0{"sid":"aaaaaaaaaaaaaaaaaaaa","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`

// serve starts a server for the time of the test and returns its address.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// pollServer answers handshakes itself and has polls answered by poll.
func pollServer(poll http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("sid") {
			poll(w, r)
			return
		}
		_, _ = io.WriteString(w, openPacket)
	})
}

func TestAnswersOfAnotherNodeAreCounted(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 2)
	home := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: nodes.addrs[0]})
	away := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: nodes.addrs[1]})
	transport := &http.Transport{}
	home.Transport, away.Transport = transport, transport
	t.Cleanup(transport.CloseIdleConnections)
	addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("sid") {
			away.ServeHTTP(w, r)
			return
		}
		home.ServeHTTP(w, r)
	}))
	for _, kind := range []string{load.Poll, load.Post, load.Handshake} {
		r := run(t, load.Job{Kind: kind, Addr: addr, Conns: 2, Size: 9, Seconds: 0.1, Warmup: 0.01}, nil, nil)
		foreign := r.Ops
		if kind == load.Handshake {
			foreign = 0
		}
		if r.Ops == 0 || r.Errors != 0 || r.Foreign != foreign {
			t.Errorf("%s: %+v", kind, r)
		}
	}
}

func TestConnectionsThatEndInOrderAreOpenedAgain(t *testing.T) {
	t.Parallel()
	addr := serve(t, pollServer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, "4")
	}))
	r := run(t, load.Job{Kind: load.Poll, Addr: addr, Conns: 2, Seconds: 0.1, Warmup: 0.01}, nil, nil)
	if r.Ops == 0 || r.Errors != 0 || r.Reopened != r.Ops {
		t.Errorf("%+v", r)
	}
}

func TestBadAnswersAreErrors(t *testing.T) {
	t.Parallel()
	for want, poll := range map[string]http.HandlerFunc{
		"status 502": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"no message": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "6") },
		"no length":  func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() },
		"ended":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		r := run(t, load.Job{Kind: load.Poll, Addr: serve(t, pollServer(poll)), Conns: 2, Seconds: 0.1, Warmup: 0.01}, nil, nil)
		if r.Ops != 0 || r.Errors == 0 || !strings.Contains(r.FirstError, want) {
			t.Errorf("%s: %+v", want, r)
		}
	}
}

func TestALatencyCountsFromWhenItWasDue(t *testing.T) {
	t.Parallel()
	addr := serve(t, pollServer(func(w http.ResponseWriter, _ *http.Request) {
		<-time.After(10 * time.Millisecond)
		_, _ = io.WriteString(w, "4")
	}))
	r := run(t, load.Job{Kind: load.Poll, Addr: addr, Conns: 1, Seconds: 0.4, Warmup: 0.01, Rate: 200}, nil, nil)
	// 80 operations take 800 ms: the median one ends about 200 ms after it was due.
	if r.Ops != 80 || r.Errors != 0 || r.Latency.P50 < 190_000 || r.Latency.Max < 390_000 || r.Elapsed < 0.8 {
		t.Errorf("%+v", r)
	}
}

func TestOperationsWithoutAnswerAreErrors(t *testing.T) {
	t.Parallel()
	addr := serve(t, pollServer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	r := run(t, load.Job{Kind: load.Poll, Addr: addr, Conns: 1, Seconds: 0.01, Warmup: 0.01, Rate: 500}, nil, nil)
	if r.Ops != 0 || r.Errors < 5 || !strings.Contains(r.FirstError, "no answer in time") {
		t.Errorf("%+v", r)
	}
}

// A tunnel that sends something else than it was sent must not pass.
func TestWrongEchoesAreErrors(t *testing.T) {
	t.Parallel()
	addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		echoWrongly(conn)
	}))
	r := run(t, load.Job{Kind: load.Frame, Addr: addr, Conns: 2, Size: 20, Seconds: 0.1, Warmup: 0.01}, nil, nil)
	if r.Ops != 0 || r.Errors == 0 || !strings.Contains(r.FirstError, "another frame") {
		t.Errorf("%+v", r)
	}
}

// echoWrongly answers a direct connect, and a frame of 20 bytes with its own length but another tunnel's number.
func echoWrongly(conn net.Conn) {
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81%c%s", rune(len(openPacket)), openPacket)
	sent := make([]byte, 2+4+20)
	if _, err := io.ReadFull(conn, sent); err != nil {
		return
	}
	_, _ = io.WriteString(conn, "\x81\x14"+"4000009990123456789x")
	_, _ = io.Copy(io.Discard, conn)
}
