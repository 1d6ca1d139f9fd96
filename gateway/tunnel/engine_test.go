package tunnel_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/gateway/tunnel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engine is what the suite needs of an engine.
type engine interface {
	Start(tunnel.Options)
	Len() int
	Shutdown(ctx context.Context, waves int, over time.Duration) error
}

// made is an engine under test.
type made struct {
	name string
	make func() engine
}

// engines are the engines that the whole suite runs with. Each of them takes any net.Conn.
var engines = append([]made{{"goroutines", func() engine { return tunnel.NewGoroutines() }}}, loopEngines...)

// each runs a story with every engine, and ends the engine after it.
func each(t *testing.T, story func(t *testing.T, e engine)) {
	for _, c := range engines {
		t.Run(c.name, func(t *testing.T) {
			e := c.make()
			defer func() {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				e.Shutdown(ctx, 1, 0)
				if n := e.Len(); n != 0 {
					t.Errorf("%d tunnels left after Shutdown", n)
				}
			}()
			story(t, e)
		})
	}
}

// ends are a tunnel seen from outside: the peers that its two connections lead to.
type ends struct {
	t            testing.TB
	client, node net.Conn
	done         <-chan tunnel.Result
}

// join starts a tunnel over loopback TCP with o's limits.
func join(t testing.TB, e engine, o tunnel.Options) ends {
	t.Helper()
	client, gatewayClient := tcpPair(t)
	node, gatewayNode := tcpPair(t)
	o.Client, o.Node = gatewayClient, gatewayNode
	return start(t, e, o, ends{client: client, node: node})
}

// start starts a tunnel over the connections in o, whose peers are in x.
func start(t testing.TB, e engine, o tunnel.Options, x ends) ends {
	t.Helper()
	done := make(chan tunnel.Result, 2) // one more than allowed, so that a second call is seen
	o.Done = func(r tunnel.Result) {
		if o.Client.SetDeadline(time.Time{}) == nil || o.Node.SetDeadline(time.Time{}) == nil {
			t.Error("Done called before both connections are closed")
		}
		done <- r
	}
	x.t, x.done = t, done
	e.Start(o)
	t.Cleanup(func() {
		x.client.Close()
		x.node.Close()
	})
	return x
}

// tcpPair returns the two ends of a TCP connection over loopback.
func tcpPair(t testing.TB) (dialled, accepted net.Conn) {
	t.Helper()
	l := listen(t)
	defer l.Close()
	return connect(t, l)
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return l
}

// connect returns the two ends of a new connection through l, which nobody else may use meanwhile.
func connect(t testing.TB, l net.Listener) (dialled, accepted net.Conn) {
	t.Helper()
	dialled, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	accepted, err = l.Accept()
	must(t, err)
	return dialled, accepted
}

// result waits for the tunnel's end and checks that Done is called once.
func (x ends) result() tunnel.Result {
	x.t.Helper()
	r := <-x.done
	select {
	case <-x.done:
		x.t.Error("Done called twice")
	default:
	}
	return r
}

// endsBy waits for the tunnel's end and checks its cause.
func (x ends) endsBy(want tunnel.Cause) tunnel.Result {
	x.t.Helper()
	r := x.result()
	if r.Cause != want {
		x.t.Errorf("tunnel ended by %v, want %v", r.Cause, want)
	}
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls until the condition holds. The test binary's own time limit is the only one.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("never: %s", what)
		}
	}
}

// openFiles counts this process's descriptors.
func openFiles(t testing.TB) int {
	t.Helper()
	names, err := os.ReadDir("/dev/fd")
	must(t, err)
	return len(names)
}
