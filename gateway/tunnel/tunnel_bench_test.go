package tunnel_test

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/tunnel"
)

// usual are the limits of a tunnel in the gateway, so that their cost is in the figures.
var usual = tunnel.Options{Idle: time.Minute, Grace: 10 * time.Second, Block: 30 * time.Second}

// benchmarkAll runs a benchmark with every engine.
func benchmarkAll(b *testing.B, run func(b *testing.B, e engine)) {
	for _, c := range engines {
		b.Run(c.name, func(b *testing.B) {
			e := c.make()
			run(b, e)
			go e.Shutdown(b.Context(), 1, 0)
		})
	}
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
	benchmarkAll(b, func(b *testing.B, e engine) {
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
	benchmarkAll(b, func(b *testing.B, e engine) {
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

// BenchmarkOpenAndClose counts what a tunnel's beginning and end cost, over pipes to leave the kernel out.
func BenchmarkOpenAndClose(b *testing.B) {
	benchmarkAll(b, func(b *testing.B, e engine) {
		b.ReportAllocs()
		for b.Loop() {
			o := usual
			client, c := net.Pipe()
			_, n := net.Pipe()
			done := make(chan struct{})
			o.Client, o.Node, o.Done = c, n, func(tunnel.Result) { close(done) }
			e.Start(o)
			client.Close()
			<-done
		}
	})
}

// BenchmarkIdleMemory reports what an idle tunnel holds once a frame has passed both ways: heap and stacks that Start added, and
// beside it what its two connections hold in Go's memory before that.
func BenchmarkIdleMemory(b *testing.B) {
	benchmarkAll(b, func(b *testing.B, e engine) {
		for b.Loop() {
			reportIdleMemory(b, e)
		}
	})
}

func reportIdleMemory(b *testing.B, e engine) {
	const tunnels = 1000
	empty := memory()
	options, peers := make([]tunnel.Options, tunnels), make([]ends, tunnels)
	for i := range tunnels {
		options[i] = usual
		peers[i].client, options[i].Client = tcpPair(b)
		peers[i].node, options[i].Node = tcpPair(b)
	}
	connected := memory()
	done := make(chan struct{}, tunnels)
	frame := make([]byte, 60)
	for i := range tunnels {
		options[i].Done = func(tunnel.Result) { done <- struct{}{} }
		e.Start(options[i])
		roundTrip(peers[i], frame)
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
	runtime.KeepAlive(options)
}

// memory is what Go's heap and stacks hold. The second collection empties the pools.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
