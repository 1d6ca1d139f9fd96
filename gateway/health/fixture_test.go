package health_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/health"
)

// patient is for probes that are to succeed however busy the machine is.
const patient = 30 * time.Second

// once probes n1 at address once, and returns the verdict when no probe is under way any more.
func once(t *testing.T, s health.Settings, address string) health.Verdict {
	t.Helper()
	return onceOf(t, s, health.Node{Name: "n1", Address: address})
}

// onceOf does for a node what once does for n1.
func onceOf(t *testing.T, s health.Settings, n health.Node) health.Verdict {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var first health.Verdict
	p := health.New(health.Options{Tell: func(v health.Verdict) {
		first = v
		cancel()
	}})
	s.Interval = 200 * time.Millisecond
	p.Update(s, []health.Node{n})
	if err := p.Run(ctx); err != nil {
		t.Error(err)
	}
	return first
}

// next returns the next verdict.
func next(t *testing.T, verdicts <-chan health.Verdict) health.Verdict {
	t.Helper()
	select {
	case v := <-verdicts:
		return v
	case <-time.After(patient):
		t.Fatal("no verdict")
		panic("unreachable")
	}
}

// rawNode serves each connection by serve, which need not close it, and returns its address.
func rawNode(t *testing.T, serve func(*net.TCPConn)) string {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { l.Close() })
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				serve(c.(*net.TCPConn))
			})
		}
	})
	return l.Addr().String()
}

// says is a rawNode that reads a request and answers text.
func says(t *testing.T, text string) string {
	t.Helper()
	return rawNode(t, func(c *net.TCPConn) {
		readRequest(c)
		_, _ = io.WriteString(c, text)
	})
}

// hangs is a rawNode that says text, and nothing more until the other side closes.
func hangs(t *testing.T, text string) string {
	t.Helper()
	return rawNode(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, text)
		_, _ = io.Copy(io.Discard, c)
	})
}

func readRequest(c net.Conn) {
	if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// nobody returns an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	defer l.Close()
	return l.Addr().String()
}

// run runs a prober of n1 at address until the test is over, and returns what it tells.
func run(t *testing.T, s health.Settings, address string) <-chan health.Verdict {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	verdicts := make(chan health.Verdict)
	p := health.New(health.Options{Tell: func(v health.Verdict) {
		select {
		case verdicts <- v:
		case <-ctx.Done():
		}
	}})
	p.Update(s, []health.Node{{Name: "n1", Address: address}})
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return verdicts
}
