package tunnel_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/tunnel"
)

// These stories need an engine whose waiting a synctest bubble understands, which waiting for descriptors is not. Their limits
// are exact. The suite has the same limits in real time.

// limitTest runs a story over pipes in a bubble and checks when and by what the tunnel ends.
func limitTest(t *testing.T, o tunnel.Options, cause tunnel.Cause, after time.Duration, story func(x ends)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		x := pipes(t, tunnel.NewGoroutines(), o)
		go story(x)
		x.endsBy(cause)
		if d := time.Since(began); d != after {
			t.Errorf("ended after %v, want %v", d, after)
		}
	})
}

func TestIdleIsExact(t *testing.T) {
	limits := tunnel.Options{Idle: 60 * time.Second, Grace: 10 * time.Second}
	quiet := func(ends) {}
	limitTest(t, limits, tunnel.ClientIdle, 70*time.Second, quiet)
	limitTest(t, limits, tunnel.ClientIdle, 70*time.Second, func(x ends) { // within the first interval
		go io.Copy(io.Discard, x.node)
		<-time.After(5 * time.Second)
		x.client.Write([]byte("2probe"))
	})
	limitTest(t, limits, tunnel.ClientIdle, 90*time.Second, func(x ends) {
		go io.Copy(io.Discard, x.node)
		<-time.After(30 * time.Second)
		x.client.Write([]byte("3"))
	})
	limitTest(t, limits, tunnel.ClientIdle, 70*time.Second, func(x ends) { // the node's bytes do not count
		go io.Copy(io.Discard, x.client)
		for range 69 {
			<-time.After(time.Second)
			x.node.Write([]byte("2"))
		}
	})
}

// While the node does not take the client's bytes, the client cannot be heard: that is not its silence.
func TestAWaitForTheNodeIsNotSilence(t *testing.T) {
	limitTest(t, tunnel.Options{Idle: 60 * time.Second}, tunnel.ClientIdle, 160*time.Second, func(x ends) {
		go x.client.Write([]byte("held"))
		<-time.After(100 * time.Second)
		io.ReadFull(x.node, make([]byte, 4))
	})
}

func TestBlockIsAtLeastWhatItSays(t *testing.T) {
	limits := tunnel.Options{Block: 40 * time.Second}
	limitTest(t, limits, tunnel.Blocked, 50*time.Second, func(x ends) { x.node.Write([]byte("x")) })
	limitTest(t, limits, tunnel.Blocked, 50*time.Second, func(x ends) { x.client.Write([]byte("x")) })
}

func TestWavesAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := tunnel.NewGoroutines()
		for range 12 {
			pipes(t, e, tunnel.Options{})
		}
		answer := make(chan error, 1)
		go func() { answer <- e.Shutdown(context.Background(), 4, 40*time.Second) }()
		for _, want := range []int{9, 6, 3, 0} {
			synctest.Wait()
			if n := e.Len(); n != want {
				t.Errorf("%d tunnels left, want %d", n, want)
			}
			<-time.After(10 * time.Second)
		}
		must(t, <-answer)
	})
}

func TestShutdownReturnsWhenNoneIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := tunnel.NewGoroutines()
		x := pipes(t, e, tunnel.Options{})
		y := pipes(t, e, tunnel.Options{})
		began := time.Now()
		time.AfterFunc(time.Second, func() { x.client.Close(); y.client.Close() })
		must(t, e.Shutdown(context.Background(), 4, time.Hour))
		if d := time.Since(began); d != time.Second {
			t.Errorf("returned after %v", d)
		}
	})
}
