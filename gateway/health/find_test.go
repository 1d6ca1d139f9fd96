package health_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/health"
)

const short = 50 * time.Millisecond

// Where the machine is busy, what hangs may not even be connected in so short a time: TestHowLongProbesWait has the reasons.
func TestWhatProbesFind(t *testing.T) {
	reset := func(c *net.TCPConn) {
		readRequest(c)
		_ = c.SetLinger(0)
	}
	get := health.Settings{Path: "/healthz", Timeout: patient}
	brief := health.Settings{Path: "/healthz", Timeout: short}
	tcp := health.Settings{Timeout: patient}
	handshake := health.Settings{Handshake: true, EngineIO: "/socket.io/", Timeout: patient}
	for name, c := range map[string]struct {
		settings health.Settings
		address  string
		outcome  health.Outcome
		reason   string
	}{
		"good":               {get, says(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), health.OK, ""},
		"good, chunked":      {get, says(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), health.OK, ""},
		"good, HTTP/1.0":     {get, says(t, "HTTP/1.0 200 OK\r\n\r\nok"), health.OK, ""},
		"good, after 103":    {get, says(t, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), health.OK, ""},
		"a long body":        {get, says(t, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 5000)), health.OK, ""},
		"wrong status":       {get, says(t, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), health.WrongStatus, "answered 503"},
		"a redirect":         {get, says(t, "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n"), health.WrongStatus, "answered 302"},
		"an upgrade":         {get, says(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), health.WrongStatus, "answered 101"},
		"refused":            {get, nobody(t), health.Refused, "refused"},
		"hangs":              {brief, hangs(t, ""), health.Silent, ""},
		"hangs in the head":  {brief, hangs(t, "HTTP/1.1 200 OK\r\n"), health.Silent, ""},
		"hangs in the body":  {brief, hangs(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"), health.Silent, ""},
		"resets":             {get, rawNode(t, reset), health.Cut, "reset"},
		"closes":             {get, says(t, ""), health.Cut, "closed without an answer; TLS, or the PROXY protocol?"},
		"closes in the head": {get, says(t, "HTTP/1.1 200 OK\r\n"), health.Cut, "closed before its answer was whole"},
		"closes in the body": {get, says(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"), health.Cut, "closed before its answer was whole"},
		"TLS":                {get, says(t, "\x15\x03\x01\x00\x02\x02\x46"), health.BadAnswer, "TLS? it answers in TLS; write its URL with https://"},
		"another protocol":   {get, says(t, "SSH-2.0-OpenSSH_9.2\r\n"), health.BadAnswer, `no HTTP: malformed HTTP response "SSH-2.0-OpenSSH_9.2"`},
		"an odd one":         {get, says(t, "\x00\xff"+strings.Repeat("é", 100)+"\n"), health.BadAnswer, `no HTTP: malformed HTTP response "\x00\xff` + strings.Repeat("?", 58)},
		"bad chunks":         {get, says(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), health.BadAnswer, "no HTTP: invalid byte in chunk length"},
		"an endless head": {get, rawNode(t, func(c *net.TCPConn) {
			_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for err == nil {
				_, err = io.WriteString(c, "X: y\r\n")
			}
		}), health.BadAnswer, "no HTTP: its head does not end"},
		"TCP":               {tcp, hangs(t, ""), health.OK, ""},
		"TCP, refused":      {tcp, nobody(t), health.Refused, "refused"},
		"handshake, a page": {handshake, says(t, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"), health.BadAnswer, "answered without an open packet"},
		"handshake, 404":    {handshake, says(t, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), health.WrongStatus, "answered 404"},
	} {
		t.Run(name, func(t *testing.T) {
			v := once(t, c.settings, c.address)
			if v.Outcome != c.outcome || v.Reason != c.reason && v.Outcome != health.Silent {
				t.Errorf("%v, %q", v.Outcome, v.Reason)
			}
			if v.Node != "n1" || v.Address != c.address || !v.Healthy || v.Changed || v.Drain || v.Weight != 1 || v.At.IsZero() || v.Took <= 0 {
				t.Errorf("%+v", v)
			}
		})
	}
}

// What answers 400 to a probe that begins with a header of the PROXY protocol may not expect one.
func TestProbesWithAHeaderThatNobodyExpects(t *testing.T) {
	address := rawNode(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1000))
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
	})
	v := onceOf(t, health.Settings{Path: "/healthz", Timeout: patient}, health.Node{Name: "n1", Address: address, First: "PROXY UNKNOWN\r\n"})
	if v.Outcome != health.WrongStatus || v.Reason != "answered 400; does it expect the PROXY protocol's header (clusters.proxy_protocol)?" {
		t.Errorf("%+v", v)
	}
}

// A node that has answered without TLS wants none.
func TestANodeThatAnsweredOnceWantsNoTLS(t *testing.T) {
	var answered atomic.Bool
	address := rawNode(t, func(c *net.TCPConn) {
		if readRequest(c); !answered.Swap(true) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var reasons []string
	p := health.New(health.Options{Tell: func(v health.Verdict) {
		if reasons = append(reasons, v.Reason); len(reasons) == 2 {
			cancel()
		}
	}})
	p.Update(health.Settings{Path: "/", Interval: time.Millisecond, Timeout: patient}, []health.Node{{Name: "n1", Address: address}})
	if err := p.Run(ctx); err != nil {
		t.Error(err)
	}
	if got := strings.Join(reasons, "; "); got != "; closed without an answer" {
		t.Errorf("%q", got)
	}
}

func TestWhatAProbeSends(t *testing.T) {
	requests := make(chan string, 10)
	address := rawNode(t, func(c *net.TCPConn) {
		all := make([]byte, 0, 1000)
		for !strings.HasSuffix(string(all), "\r\n\r\n") {
			n, err := c.Read(all[len(all):cap(all)])
			if err != nil {
				t.Error(err)
				return
			}
			all = all[:len(all)+n]
		}
		requests <- string(all)
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	})
	t.Setenv("HTTP_PROXY", "http://"+nobody(t))
	t.Setenv("http_proxy", "http://"+nobody(t))
	v := once(t, health.Settings{Path: "/health%7A?full=1&a=%20b", Status: 204, Timeout: patient}, address)
	want := "GET /health%7A?full=1&a=%20b HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: sidway-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
	if got := <-requests; got != want || v.Outcome != health.OK {
		t.Errorf("%q, %+v", got, v)
	}
}

// A node's log must not fill with resets.
func TestTCPProbesCloseInOrder(t *testing.T) {
	ends := make(chan error, 10)
	address := rawNode(t, func(c *net.TCPConn) {
		_, err := c.Read(make([]byte, 1))
		ends <- err
	})
	if v := once(t, health.Settings{Timeout: patient}, address); v.Outcome != health.OK {
		t.Errorf("%+v", v)
	}
	if err := <-ends; err != io.EOF {
		t.Error(err)
	}
}

func TestHandshakeLeavesNoSession(t *testing.T) {
	for name, o := range map[string]engineiotest.Options{"usual": {}, "with a greeting": {Greeting: "hello"}} {
		t.Run(name, func(t *testing.T) {
			n := engineiotest.Start(t, o)
			v := once(t, health.Settings{Handshake: true, EngineIO: "/socket.io/", Timeout: patient}, n.Addr())
			if v.Outcome != health.OK || v.Reason != "" {
				t.Errorf("%+v", v)
			}
			requests := n.Requests()
			if len(requests) != 2 || requests[0].Target != "/socket.io/?EIO=4&transport=polling" {
				t.Fatalf("%+v", requests)
			}
			_, sid, _ := strings.Cut(requests[1].Target, "&sid=")
			if n.Ended(sid) != engineiotest.ClientClosed || len(n.Sessions()) != 0 || string(requests[1].Body) != "1" {
				t.Errorf("%v, %v, %q", n.Ended(sid), n.Sessions(), requests[1].Body)
			}
		})
	}
}

// Old nodes answer every query in revision 3, and read it.
func TestHandshakeOfRevision3(t *testing.T) {
	n := engineiotest.Start(t, engineiotest.Options{})
	n.Script(func(_ http.ResponseWriter, r *http.Request) bool {
		r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "EIO=4", "EIO=3", 1)
		return false
	})
	v := once(t, health.Settings{Handshake: true, EngineIO: "/socket.io/", Timeout: patient}, n.Addr())
	requests := n.Requests()
	if v.Outcome != health.OK || v.Reason != "" || len(requests) != 2 || string(requests[1].Body) != "1:1" || len(n.Sessions()) != 0 {
		t.Errorf("%+v, %+v, %v", v, requests, n.Sessions())
	}
}

// A "node" that is several processes closes a session of another one.
func TestSessionThatCannotBeClosedIsTold(t *testing.T) {
	n := engineiotest.Start(t, engineiotest.Options{})
	n.Script(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusBadRequest)
		}
		return r.Method == http.MethodPost
	})
	v := once(t, health.Settings{Handshake: true, EngineIO: "/socket.io/", Timeout: patient}, n.Addr())
	if v.Outcome != health.OK || v.Reason != "its session was not closed: answered 400" {
		t.Errorf("%+v", v)
	}
}

// piped stands for a network that ends in serve.
func piped(serve func(net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		conn, node := net.Pipe()
		go func() {
			defer node.Close()
			serve(node)
		}()
		return conn, nil
	}
}

func TestHowLongProbesWait(t *testing.T) {
	for text, want := range map[string]struct {
		outcome health.Outcome
		reason  string
	}{
		"":                    {health.Silent, "no answer in 1.5s"},
		"HTTP/1.1 200 OK\r\n": {health.Silent, "no answer in 1.5s"},
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no":   {health.Silent, "no answer in 1.5s"},
		"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\no": {health.WrongStatus, "answered 500"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var v health.Verdict
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			dial := piped(func(c net.Conn) {
				readRequest(c)
				_, _ = io.WriteString(c, text)
				_, _ = io.Copy(io.Discard, c)
			})
			p := health.New(health.Options{Dial: dial, Tell: func(first health.Verdict) { v = first; cancel() }})
			p.Update(health.Settings{Path: "/healthz", Timeout: 1500 * time.Millisecond}, nodes(1))
			_ = p.Run(ctx)
			if v.Outcome != want.outcome || v.Reason != want.reason || v.Took != 1500*time.Millisecond {
				t.Errorf("%q: %+v", text, v)
			}
		})
	}
}

// A session that was opened is closed though the prober ends meanwhile, which does not take longer than a second.
func TestEndsWithoutASessionLeft(t *testing.T) {
	for _, takes := range []time.Duration{0, 500 * time.Millisecond, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan time.Time, 1)
			closed := make(chan bool, 1)
			dial := piped(func(c net.Conn) {
				req, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					t.Error(err)
					return
				}
				if req.Method == http.MethodGet {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n0{\"sid\":\"abcd\"}")
					return
				}
				ended <- time.Now()
				cancel()
				body, _ := io.ReadAll(req.Body)
				if string(body) != "1" || req.URL.RawQuery != "EIO=4&transport=polling&sid=abcd" {
					t.Errorf("%s, %q", req.URL, body)
				}
				time.Sleep(takes)
				_, err = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				closed <- err == nil
			})
			p := health.New(health.Options{Dial: dial, Tell: func(v health.Verdict) { t.Errorf("told of %+v", v) }})
			p.Update(health.Settings{Handshake: true, EngineIO: "/socket.io/"}, nodes(1))
			_ = p.Run(ctx)
			want := min(takes, time.Second)
			if took := time.Since(<-ended); took != want {
				t.Errorf("it ended after %v", took)
			}
			if <-closed != (takes < time.Second) {
				t.Errorf("the session of a node that takes %v", takes)
			}
		})
	}
}
