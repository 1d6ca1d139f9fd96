package tunnel_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/tunnel"
)

// obey closes both peers of a tunnel when its client is told of the end, as WebSocket peers do.
func obey(x ends) {
	io.Copy(io.Discard, x.client)
	x.client.Close()
	io.Copy(io.Discard, x.node)
	x.node.Close()
}

func TestShutdownEndsTunnelsInWaves(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		var all []ends
		for range 20 {
			x := join(t, e, tunnel.Options{})
			all = append(all, x)
			go obey(x)
		}
		began := time.Now()
		must(t, e.Shutdown(t.Context(), 4, 200*time.Millisecond))
		notBefore(t, began, 150*time.Millisecond) // three of the four quarters lie between the waves
		for _, x := range all {
			x.endsBy(tunnel.Shutdown)
		}
	})
}

func TestAWaveIsAShare(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		var all []ends
		for range 20 {
			x := join(t, e, tunnel.Options{})
			all = append(all, x)
			go obey(x)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		answer := make(chan error)
		go func() { answer <- e.Shutdown(ctx, 4, time.Hour) }()
		eventually(t, "the first wave", func() bool { return e.Len() == 15 })
		enough := errors.New("enough")
		cancel(enough)
		if err := <-answer; !errors.Is(err, enough) {
			t.Errorf("Shutdown: %v, want the cause of its context's end", err)
		}
		for _, x := range all {
			x.endsBy(tunnel.Shutdown)
		}
	})
}

// The client is told first; what it still has to say reaches the node.
func TestShutdownLetsTheClientFinish(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		x := join(t, e, tunnel.Options{})
		send(t, x.node, "on its way")
		receive(t, x.client, "on its way")
		answer := make(chan error)
		go func() { answer <- e.Shutdown(t.Context(), 1, 0) }()
		receiveEnd(t, x.client)
		send(t, x.client, "last words")
		x.client.Close()
		receive(t, x.node, "last words")
		receiveEnd(t, x.node)
		x.node.Close()
		must(t, <-answer)
		x.endsBy(tunnel.Shutdown)
	})
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		deaf := join(t, e, tunnel.Options{})
		stuck := join(t, e, tunnel.Options{})
		must(t, stuck.node.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
		flood(stuck.node) // the tunnel is in the midst of a write that never ends
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := e.Shutdown(ctx, 1, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		deaf.endsBy(tunnel.Shutdown)
		stuck.endsBy(tunnel.Shutdown)
	})
}

func TestStartWhileShuttingDown(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		holds := join(t, e, tunnel.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		answer := make(chan error)
		go func() { answer <- e.Shutdown(ctx, 1, 0) }()
		receiveEnd(t, holds.client)

		late := join(t, e, tunnel.Options{ToClient: []byte("early")})
		receive(t, late.client, "early")
		receiveEnd(t, late.client)
		late.client.Close()
		late.node.Close()
		late.endsBy(tunnel.Shutdown)

		cancel()
		if err := <-answer; !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
		holds.endsBy(tunnel.Shutdown)

		refused := join(t, e, tunnel.Options{})
		refused.endsBy(tunnel.Shutdown)
		receiveEnd(t, refused.client)
		receiveEnd(t, refused.node)
	})
}

func TestShutdownOfNothing(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		must(t, e.Shutdown(t.Context(), 10, time.Hour))
		must(t, e.Shutdown(t.Context(), 0, 0)) // again, and without a wave
	})
}

func TestShutdownTwiceAtOnce(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		x := join(t, e, tunnel.Options{})
		answers := make(chan error)
		for range 2 {
			go func() { answers <- e.Shutdown(t.Context(), 2, 10*time.Millisecond) }()
		}
		go obey(x)
		must(t, <-answers)
		must(t, <-answers)
		x.endsBy(tunnel.Shutdown)
	})
}

// A tunnel that has ended by itself is no concern of Shutdown's, and one that lives is not disturbed before its wave.
func TestWavesLeaveTheOthersAlone(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		a, b := join(t, e, tunnel.Options{}), join(t, e, tunnel.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		answer := make(chan error)
		go func() { answer <- e.Shutdown(ctx, 2, time.Hour) }()
		told, left := a, b
		eventually(t, "one of the two told", func() bool {
			for _, p := range [2][2]ends{{a, b}, {b, a}} {
				must(t, p[0].client.SetReadDeadline(time.Now().Add(time.Millisecond)))
				if _, err := p[0].client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
					told, left = p[0], p[1]
					return true
				}
			}
			return false
		})
		must(t, left.client.SetReadDeadline(time.Time{}))
		send(t, left.node, "still here")
		receive(t, left.client, "still here")
		told.client.Close()
		told.node.Close()
		told.endsBy(tunnel.Shutdown)
		cancel()
		<-answer
		left.endsBy(tunnel.Shutdown)
	})
}

func TestShutdownReturnsWhenNoneIsLeft(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		x, y := join(t, e, tunnel.Options{}), join(t, e, tunnel.Options{})
		answer := make(chan error)
		go func() { answer <- e.Shutdown(t.Context(), 4, time.Hour) }()
		go obey(x)
		go obey(y)
		x.client.Close()
		y.client.Close()
		must(t, <-answer)
	})
}

// Some tunnels of one node end, each once, and all others go on.
func TestEndSome(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		other := join(t, e, tunnel.Options{Node: "n2"})
		var all []ends
		for range 8 {
			x := join(t, e, tunnel.Options{Node: "n1"})
			all = append(all, x)
			go obey(x)
		}
		if n1, n2 := e.LenOf("n1"), e.LenOf("n2"); n1 != 8 || n2 != 1 {
			t.Errorf("%d and %d tunnels, want 8 and 1", n1, n2)
		}
		for _, want := range []int{3, 3, 2, 0} {
			if n := e.EndSome("n1", 3, tunnel.Drained); n != want {
				t.Errorf("ended %d, want %d", n, want)
			}
		}
		for _, x := range all {
			x.endsBy(tunnel.Drained)
		}
		eventually(t, "the other tunnel alone is left", func() bool { return e.LenOf("n1") == 0 && e.LenOf("n2") == 1 && e.Len() == 1 })
		send(t, other.node, "still here")
		receive(t, other.client, "still here")
		again := join(t, e, tunnel.Options{Node: "n1"})
		send(t, again.node, "here again")
		receive(t, again.client, "here again")
	})
}
