package tunnel_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/tunnel"
)

func closeWrite(t testing.TB, c net.Conn) {
	t.Helper()
	must(t, c.(interface{ CloseWrite() error }).CloseWrite())
}

func TestClientEndsFirst(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		x := join(t, e, tunnel.Options{})
		send(t, x.client, "last words")
		closeWrite(t, x.client)
		receive(t, x.node, "last words")
		receiveEnd(t, x.node)
		send(t, x.node, "answer")
		receive(t, x.client, "answer")
		x.node.Close()
		receiveEnd(t, x.client)
		x.endsBy(tunnel.ClientClosed)
	})
}

func TestNodeEndsFirst(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		x := join(t, e, tunnel.Options{})
		send(t, x.node, "last words")
		closeWrite(t, x.node)
		receive(t, x.client, "last words")
		receiveEnd(t, x.client)
		send(t, x.client, "answer")
		receive(t, x.node, "answer")
		x.client.Close()
		receiveEnd(t, x.node)
		x.endsBy(tunnel.NodeClosed)
	})
}

// A client that hangs up behind the node's Close frame has been closed by the node.
func TestClientAnswersAClose(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		for said, want := range map[string]tunnel.Cause{
			"\x88\x00":                      tunnel.NodeClosed,
			"\x81\x02hi\x88\x00":            tunnel.NodeClosed,
			"\x81\x02hi\x88\x02\x03\xe8":    tunnel.NodeClosed,
			"\x88\x06\x03\xe9gone":          tunnel.NodeClosed,
			"\x81\x02hi":                    tunnel.ClientClosed,
			"\x88\x06\x03\xe9gone\x81\x01x": tunnel.ClientClosed,
		} {
			for _, early := range []string{"", said} { // what came with the node's 101
				x := join(t, e, tunnel.Options{ToClient: []byte(early)})
				send(t, x.node, said[len(early):])
				receive(t, x.client, said)
				closeWrite(t, x.client)
				receiveEnd(t, x.node)
				x.node.Close()
				x.endsBy(want)
			}
		}
	})
}

// Who has said the first Close frame is told, whoever hangs up first: servers do that, as a rule.
func TestFirstCloseIsTold(t *testing.T) {
	const close, masked = "\x88\x02\x03\xf1", "\x88\x80\x00\x00\x00\x00"
	with(t, func(t *testing.T, e engine) {
		for name, k := range map[string]struct {
			client, node string // what each says, the client first
			closer       tunnel.Cause
			code         uint16
		}{
			"the client":           {masked, close, tunnel.ClientClosed, 0},
			"the node":             {"\x81\x80\x00\x00\x00\x00", close, tunnel.NodeClosed, 1009},
			"the node, and no why": {"\x81\x80\x00\x00\x00\x00", "\x88\x00", tunnel.NodeClosed, 0},
			"nobody":               {"\x81\x80\x00\x00\x00\x00", "\x81\x00", 0, 0},
		} {
			x := join(t, e, tunnel.Options{})
			send(t, x.client, k.client)
			receive(t, x.node, k.client)
			send(t, x.node, k.node)
			receive(t, x.client, k.node)
			closeWrite(t, x.node)
			receiveEnd(t, x.client)
			x.client.Close()
			if r := x.endsBy(tunnel.NodeClosed); r.Closer != k.closer || r.Code != k.code {
				t.Errorf("%s: %v, code %d", name, r.Closer, r.Code)
			}
		}
	})
}

func TestSecondDirectionLingers(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		began := time.Now()
		x := join(t, e, tunnel.Options{Linger: 100 * time.Millisecond})
		closeWrite(t, x.client)
		receiveEnd(t, x.node)
		receiveEnd(t, x.client) // the node never ends its side
		x.endsBy(tunnel.ClientClosed)
		notBefore(t, began, 100*time.Millisecond)
	})
}

// notBefore checks that a limit was not applied too early.
func notBefore(t *testing.T, began time.Time, limit time.Duration) {
	t.Helper()
	if d := time.Since(began); d < limit {
		t.Errorf("ended after %v, before its limit of %v", d, limit)
	}
}

func reset(t testing.TB, c net.Conn) {
	t.Helper()
	must(t, c.(*net.TCPConn).SetLinger(0))
	c.Close()
}

func TestResetByClient(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		x := join(t, e, tunnel.Options{})
		reset(t, x.client)
		receiveEnd(t, x.node)
		x.node.Close()
		x.endsBy(tunnel.ClientClosed)
	})
}

func TestResetByNode(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		x := join(t, e, tunnel.Options{})
		reset(t, x.node)
		receiveEnd(t, x.client)
		x.client.Close()
		x.endsBy(tunnel.NodeClosed)
	})
}

func TestSilentClientIsIdle(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		began := time.Now()
		x := join(t, e, tunnel.Options{Idle: 200 * time.Millisecond})
		for { // what the node sends must not prolong it
			if _, err := x.node.Write([]byte("ping")); err != nil {
				break
			}
			if _, err := io.ReadFull(x.client, make([]byte, 4)); err != nil {
				break
			}
		}
		x.endsBy(tunnel.ClientIdle)
		notBefore(t, began, 200*time.Millisecond)
	})
}

// A tunnel whose time is over ends behind what is on its way, and what the client says then still reaches the node.
func TestLifeEnds(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		for _, idle := range []time.Duration{0, time.Hour} {
			began := time.Now()
			x := join(t, e, tunnel.Options{Life: 200 * time.Millisecond, Idle: idle})
			send(t, x.node, "hello")
			receive(t, x.client, "hello")
			receiveEnd(t, x.client)
			notBefore(t, began, 200*time.Millisecond)
			send(t, x.client, "last words")
			receive(t, x.node, "last words")
			closeWrite(t, x.client)
			receiveEnd(t, x.node)
			x.node.Close()
			x.endsBy(tunnel.Expired)
		}
	})
}

// One whose client takes nothing still ends for that.
func TestLifeEndsOfABlockedClient(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		x := join(t, e, tunnel.Options{Life: 300 * time.Millisecond, Block: time.Second})
		flood(x.node)
		x.endsBy(tunnel.Expired)
	})
}

func TestSpeakingClientIsNotIdle(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		const idle = time.Second
		began := time.Now()
		x := join(t, e, tunnel.Options{Idle: idle})
		tick := time.NewTicker(idle / 50)
		defer tick.Stop()
		for time.Since(began) < idle*2 {
			<-tick.C
			send(t, x.client, "pong")
			receive(t, x.node, "pong")
		}
		closeWrite(t, x.client)
		receiveEnd(t, x.node)
		x.node.Close()
		x.endsBy(tunnel.ClientClosed)
	})
}

func TestGraceIsAddedToTheFirstInterval(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		began := time.Now()
		x := join(t, e, tunnel.Options{Idle: 50 * time.Millisecond, Grace: 300 * time.Millisecond})
		send(t, x.client, "2probe")
		receive(t, x.node, "2probe")
		x.endsBy(tunnel.ClientIdle)
		notBefore(t, began, 350*time.Millisecond)
	})
}

// flood writes until the connection fails, and returns how many bytes were taken.
func flood(c net.Conn) (n int64) {
	b := make([]byte, 128<<10)
	for {
		m, err := c.Write(b)
		n += int64(m)
		if err != nil {
			return n
		}
	}
}

func TestBlockedClient(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		began := time.Now()
		x := join(t, e, tunnel.Options{Block: 100 * time.Millisecond})
		flood(x.node)
		x.endsBy(tunnel.Blocked)
		notBefore(t, began, 100*time.Millisecond)
		if _, err := io.Copy(io.Discard, x.client); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a blocked client sees %v, want a reset that frees the kernel's memory at once", err)
		}
	})
}

func TestBlockedNode(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		x := join(t, e, tunnel.Options{Block: 100 * time.Millisecond})
		flood(x.client)
		x.endsBy(tunnel.Blocked)
	})
}

// While the node does not take the client's bytes, the client cannot be heard: that is not its silence.
func TestAWaitForTheNodeIsNotSilence(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		const idle = 100 * time.Millisecond
		x := join(t, e, tunnel.Options{Idle: idle})
		must(t, x.client.SetWriteDeadline(time.Now().Add(4*idle)))
		held := flood(x.client)
		select {
		case r := <-x.done:
			t.Fatalf("ended by %v while the node took nothing", r.Cause)
		default:
		}
		began := time.Now()
		if n, err := io.Copy(io.Discard, x.node); n != held || err != nil {
			t.Errorf("%d bytes of %d arrived: %v", n, held, err)
		}
		x.endsBy(tunnel.ClientIdle)
		notBefore(t, began, idle)
	})
}

func TestQuietIsNotBlocked(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		const block = 20 * time.Millisecond
		x := join(t, e, tunnel.Options{Block: block})
		for range 3 {
			send(t, x.client, "ping")
			receive(t, x.node, "ping")
			send(t, x.node, "pong")
			receive(t, x.client, "pong")
			must(t, x.client.SetReadDeadline(time.Now().Add(block*3)))
			if _, err := x.client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("a quiet tunnel: %v", err)
			}
			must(t, x.client.SetReadDeadline(time.Time{}))
		}
	})
}

func TestCauseNames(t *testing.T) {
	names := map[tunnel.Cause]string{
		tunnel.ClientClosed: "client_closed", tunnel.NodeClosed: "node_closed", tunnel.ClientIdle: "client_idle",
		tunnel.Blocked: "blocked", tunnel.Shutdown: "shutdown", tunnel.NodeSilent: "node_silent", tunnel.Expired: "token_expired", tunnel.Failed: "error", 0: "none", 99: "none",
	}
	for c, want := range names {
		if got := c.String(); got != want {
			t.Errorf("Cause(%d) = %q, want %q", c, got, want)
		}
	}
}

// An end in order comes when the client is done with its preface, at the latest after two seconds, and at once where it has not begun.
func TestEndWaitsForThePreface(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		const node, probe, upgrade = "n1", "2probe frame", "5 frame"
		begin := func(said string) ends {
			x := join(t, e, tunnel.Options{Node: node, Preface: int64(len(probe))})
			send(t, x.client, said)
			receive(t, x.node, said)
			if n := e.EndSome(node, 1, tunnel.Drained); n != 1 {
				t.Fatalf("%d tunnels are told to end", n)
			}
			return x
		}
		x := begin(probe)
		send(t, x.node, "3probe")
		receive(t, x.client, "3probe")
		send(t, x.client, upgrade)
		receive(t, x.node, upgrade)
		receiveEnd(t, x.client)
		x.client.Close()
		x.node.Close()
		x.endsBy(tunnel.Drained)

		began := time.Now()
		for _, said := range []string{"", probe + upgrade} {
			x = begin(said)
			receiveEnd(t, x.client)
			x.client.Close()
			x.node.Close()
			x.endsBy(tunnel.Drained)
		}
		at := time.Since(began)
		began = time.Now()
		x = begin(probe[:5])
		receiveEnd(t, x.client)
		if took := time.Since(began); took < 2*time.Second {
			t.Errorf("within the preface it ends after %v, others after %v", took, at)
		}
		x.client.Close()
		x.node.Close()
		x.endsBy(tunnel.Drained)
	})
}
