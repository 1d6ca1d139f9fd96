package tunnel_test

import (
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/tunnel"
)

// pongs is an Owner that is told of them.
type pongs struct {
	tunnel.Done
	took chan time.Duration
}

func (p *pongs) Pong(took time.Duration) { p.took <- took }

// TestHeartbeats: a pong that follows a ping is timed, whatever comes between them, and nothing else is.
func TestHeartbeats(t *testing.T) {
	const ping, pong, message, said = "\x81\x012", "\x81\x81abcd\x52", "\x81\x02hi", "\x81\x82abcd\x09\x0b" // '3'^'a' is \x52
	with(t, func(t *testing.T, e engine) {
		took := make(chan time.Duration, 10)
		x := join(t, e, tunnel.Options{Pings: true, Owner: &pongs{took: took}})
		fromClient := func(s string) { send(t, x.client, s); receive(t, x.node, s) }
		fromNode := func(s string) { send(t, x.node, s); receive(t, x.client, s) }
		fromClient(pong) // which nobody has asked for
		fromNode(message)
		fromClient(pong)
		fromNode(ping)
		const slow = 30 * time.Millisecond
		time.Sleep(slow)
		fromClient(said)
		fromClient(pong)
		fromClient(pong)
		fromNode(ping)
		fromClient("\x81\x81abcd\x53") // '2', of Engine.IO 3
		fromNode(ping)
		began := time.Now()
		fromClient(pong)
		whole := time.Since(began)
		x.client.Close()
		x.node.Close()
		x.result()
		if len(took) != 2 {
			t.Fatalf("%d heartbeats, want 2", len(took))
		}
		if first := <-took; first < slow {
			t.Errorf("a pong after %v is said to have come after %v", slow, first)
		}
		if second := <-took; second < 0 || second > whole+slow {
			t.Errorf("a pong after %v is said to have come after %v", whole, second)
		}
	})
}
