//go:build linux

package load_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

// terminator speaks TLS to clients and hands what they say to a node. It returns its address.
func terminator(t *testing.T, node string, change func(*tls.Config)) string {
	t.Helper()
	issued := keyfiletest.NewAuthority(t, "bench").Issue(t, keyfiletest.Request{Names: []string{"127.0.0.1"}})
	pair, err := tls.X509KeyPair(issued.Cert, issued.Key)
	if err != nil {
		t.Fatal(err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}}
	if change != nil {
		change(c)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { relay(c, node) })
		}
	})
	t.Cleanup(func() { l.Close(); work.Wait() })
	return l.Addr().String()
}

// relay copies until either side ends.
func relay(c net.Conn, node string) {
	defer c.Close()
	n, err := net.Dial("tcp", node)
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { io.Copy(c, n); c.Close() })
	io.Copy(n, c)
	n.Close()
	back.Wait()
}

// TestTLS does the kinds of work that are measured over TLS, with frames of several records too.
func TestTLS(t *testing.T) {
	for name, c := range map[string]struct {
		job    load.Job
		change func(*tls.Config)
	}{
		"poll":      {load.Job{Kind: load.Poll, Conns: 8, TLS: load.Full}, nil},
		"frame":     {load.Job{Kind: load.Frame, Conns: 20, Size: 60, TLS: load.Full}, nil},
		"big frame": {load.Job{Kind: load.Frame, Conns: 4, Size: 100_000, TLS: load.Full}, nil},
		"idle":      {load.Job{Kind: load.Idle, Conns: 30, TLS: load.Full}, nil},
		"connect":   {load.Job{Kind: load.Connect, Conns: 8, TLS: load.Full}, nil},
		"resume":    {load.Job{Kind: load.Connect, Conns: 8, TLS: load.Resume}, nil},
		"no tickets": {load.Job{Kind: load.Connect, Conns: 8, TLS: load.Resume}, func(c *tls.Config) {
			c.SessionTicketsDisabled = true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.job.Addr, c.job.Seconds, c.job.Warmup = terminator(t, startNodes(t, 1).addrs[0], c.change), 0.3, 0.2
			r := run(t, c.job, nil, nil)
			if (r.Ops == 0) != (c.job.Kind == load.Idle) || r.Errors != 0 || r.Open != c.job.Conns {
				t.Errorf("%+v", r)
			}
			want := int64(0)
			if name == "resume" {
				want = r.Ops
			}
			if r.Resumed != want {
				t.Errorf("%d of %d were resumed, want %d", r.Resumed, r.Ops, want)
			}
		})
	}
}

// TestTLSIsTheSameForAll refuses a proxy that agrees on another cipher, or breaks the handshake off.
func TestTLSIsTheSameForAll(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*tls.Config)
		want   string
	}{
		"another curve":  {func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} }, "handshake failure"},
		"an old version": {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "protocol version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := terminator(t, startNodes(t, 1).addrs[0], c.change)
			r := run(t, load.Job{Kind: load.Connect, Addr: addr, Conns: 2, TLS: load.Full, Seconds: 0.1, Warmup: 0.02}, nil, nil)
			if r.Ops != 0 || r.Errors == 0 || !strings.Contains(r.FirstError, c.want) {
				t.Errorf("%+v", r)
			}
		})
	}
}
