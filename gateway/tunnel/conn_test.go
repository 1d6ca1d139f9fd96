package tunnel_test

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/sock"
	"github.com/sidway/sidway/gateway/tunnel"
)

func unixPair(t testing.TB) (dialled, accepted net.Conn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	must(t, err)
	defer l.Close()
	dialled, err = net.Dial("unix", path)
	must(t, err)
	accepted, err = l.Accept()
	must(t, err)
	return dialled, accepted
}

func TestSocketsOfAllKinds(t *testing.T) {
	kinds := map[string]func(testing.TB) (net.Conn, net.Conn){"tcp": tcpPair, "unix": unixPair}
	limits := tunnel.Options{Idle: time.Minute, Grace: time.Minute, Block: time.Minute}
	with(t, func(t *testing.T, e engine) {
		for left, client := range kinds {
			for right, node := range kinds {
				t.Run(left+" to "+right, func(t *testing.T) {
					var x ends
					x.client, x.inner[0] = client(t)
					x.node, x.inner[1] = node(t)
					exchange(t, start(t, e, limits, x))
				})
			}
		}
	})
}

// A failure that is not the peer's end: nobody listens where the node should be.
func TestOtherFailures(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		l := listen(t)
		l.Close()
		node, err := sock.Dial(l.Addr().(*net.TCPAddr).AddrPort())
		must(t, err)
		client, inner := tcpPair(t)
		defer client.Close()
		done := make(chan tunnel.Result, 1)
		e.adopt([2]int{detach(t, inner), node}, tunnel.Options{Owner: tunnel.Done(func(r tunnel.Result) { done <- r })})
		receiveEnd(t, client)
		client.Close()
		if r := <-done; r.Cause != tunnel.Failed {
			t.Errorf("ended by %v", r.Cause)
		}
	})
}
