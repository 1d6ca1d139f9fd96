package tunnel_test

import (
	"io"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/sock"
	"github.com/sidway/sidway/gateway/tunnel"
)

// usual are the limits of a tunnel in the gateway, so that their cost is in the figures.
var usual = tunnel.Options{Idle: time.Minute, Grace: 10 * time.Second, Block: 30 * time.Second}

// benchmark runs a benchmark with an engine.
func benchmark(b *testing.B, run func(b *testing.B, e engine)) {
	e := newEngine(b)
	defer e.end(b)
	run(b, e)
}

// roundTrip sends a frame to the node and one back.
func roundTrip(x ends, frame []byte) {
	x.client.Write(frame)
	io.ReadFull(x.node, frame)
	x.node.Write(frame)
	io.ReadFull(x.client, frame)
}

// BenchmarkFrames passes frames of 60 bytes to the node and back: two frames an operation, one after the other.
func BenchmarkFrames(b *testing.B) {
	benchmark(b, func(b *testing.B, e engine) {
		x := join(b, e, usual)
		frame := make([]byte, 60)
		roundTrip(x, frame)
		b.ReportAllocs()
		for b.Loop() {
			roundTrip(x, frame)
		}
	})
}

// BenchmarkStream passes bytes to the client as fast as it goes.
func BenchmarkStream(b *testing.B) {
	benchmark(b, func(b *testing.B, e engine) {
		x := join(b, e, usual)
		piece := make([]byte, 64<<10)
		b.SetBytes(int64(len(piece)))
		b.ReportAllocs()
		go func() {
			for {
				if _, err := x.node.Write(piece); err != nil {
					return
				}
			}
		}()
		got := make([]byte, len(piece))
		for b.Loop() {
			io.ReadFull(x.client, got)
		}
		x.client.Close()
		x.node.Close()
		x.result()
	})
}

// BenchmarkOpenAndClose counts what a tunnel's beginning and end cost, with the sockets.
func BenchmarkOpenAndClose(b *testing.B) {
	benchmark(b, func(b *testing.B, e engine) {
		b.ReportAllocs()
		done := make(chan struct{})
		o := usual
		o.Owner = tunnel.Done(func(tunnel.Result) { done <- struct{}{} })
		for b.Loop() {
			client, node := socketPair(b), socketPair(b)
			e.adopt([2]int{client[1], node[1]}, o)
			sock.Close(client[0])
			sock.Close(node[0])
			<-done
		}
	})
}

func socketPair(b *testing.B) [2]int {
	b.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(b, err)
	must(b, unix.SetNonblock(pair[1], true))
	return pair
}

// BenchmarkIdleMemory reports what an idle tunnel holds once a frame has passed both ways: heap and stacks that Adopt added, and
// beside it what its two connections hold in Go's memory before that.
func BenchmarkIdleMemory(b *testing.B) {
	benchmark(b, func(b *testing.B, e engine) {
		for b.Loop() {
			reportIdleMemory(b, e)
		}
	})
}

func reportIdleMemory(b *testing.B, e engine) {
	const tunnels = 1000
	empty := memory()
	peers := make([]ends, tunnels)
	for i := range peers {
		x := &peers[i]
		x.client, x.inner[0] = tcpPair(b)
		x.node, x.inner[1] = tcpPair(b)
	}
	connected := memory()
	done := make(chan struct{}, tunnels)
	frame := make([]byte, 60)
	o := usual
	o.Owner = tunnel.Done(func(tunnel.Result) { done <- struct{}{} })
	for _, x := range peers {
		e.adopt([2]int{detach(b, x.inner[0]), detach(b, x.inner[1])}, o)
		roundTrip(x, frame)
	}
	joined := memory()
	b.ReportMetric(float64(joined-connected)/tunnels, "B/tunnel")
	b.ReportMetric(float64(connected-empty)/tunnels/2, "B/connections")
	for _, x := range peers {
		x.client.Close()
		x.node.Close()
	}
	for range tunnels {
		<-done
	}
	runtime.KeepAlive(peers)
}

// memory is what Go's heap and stacks hold. The second collection empties the pools.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
