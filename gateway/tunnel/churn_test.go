package tunnel_test

import (
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/sidway/sidway/gateway/tunnel"
)

// Tunnels that come and go while others are busy take over each other's descriptor numbers. Each byte carries the number of the
// tunnel it belongs to, so that one that strays is seen; and at the end nothing is left of any.
func TestTwoThousandTunnelsComeAndGo(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		goroutines, files := runtime.NumGoroutine(), openFiles(t)
		const workers, rounds = 50, 40
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				l := listen(t)
				defer l.Close()
				for r := range rounds {
					number := w*rounds + r
					converse(t, e, l, uint32(number))
				}
			})
		}
		wg.Wait()
		eventually(t, "no tunnel left", func() bool { return e.Len() == 0 })
		eventually(t, "no goroutine left", func() bool { return runtime.NumGoroutine() <= goroutines })
		eventually(t, "no descriptor left", func() bool { return openFiles(t) <= files })
	})
}

// converse opens a tunnel, sends its number through it both ways, and ends it in one of five ways.
func converse(t *testing.T, e engine, l net.Listener, number uint32) {
	client, gatewayClient := connect(t, l)
	node, gatewayNode := connect(t, l)
	defer client.Close()
	defer node.Close()
	done := make(chan tunnel.Result, 1)
	e.adopt([2]int{detach(t, gatewayClient), detach(t, gatewayNode)}, tunnel.Options{Owner: tunnel.Done(func(r tunnel.Result) { done <- r })})

	for size := range 5 {
		marked(t, client, node, number, 1<<(size*3))
		marked(t, node, client, number, 1<<(size*3))
	}
	switch number % 5 {
	case 0:
		client.Close()
	case 1:
		node.Close()
	case 2:
		reset(t, client)
	case 3:
		reset(t, node)
	case 4:
		client.Close()
		node.Close()
	}
	io.Copy(io.Discard, client)
	client.Close()
	io.Copy(io.Discard, node)
	node.Close()
	<-done
}

// marked sends a number so many times and checks that it, and nothing else, arrives.
func marked(t *testing.T, from, to net.Conn, number uint32, times int) {
	b := make([]byte, 4*times)
	for i := range times {
		binary.BigEndian.PutUint32(b[4*i:], number)
	}
	if _, err := from.Write(b); err != nil {
		t.Errorf("tunnel %d: %v", number, err)
		return
	}
	clear(b)
	if _, err := io.ReadFull(to, b); err != nil {
		t.Errorf("tunnel %d: %v", number, err)
		return
	}
	for i := range times {
		if got := binary.BigEndian.Uint32(b[4*i:]); got != number {
			t.Errorf("tunnel %d received bytes of %d", number, got)
			return
		}
	}
}
