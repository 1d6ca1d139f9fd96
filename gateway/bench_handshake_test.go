package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

const benchHandshake = "GET /socket.io/?EIO=4&transport=polling&t=Pa3k HTTP/1.1\r\nHost: chat.example.com\r\n\r\n"

// BenchmarkHandshake measures polling handshakes on 64 kept connections, each of which is bound in a Redis: what the process
// spends for one, client and node included, and how many commands Redis gets.
func BenchmarkHandshake(b *testing.B) {
	const clients = 64
	server := affinitytest.StartRedis(b)
	client, err := affinity.Open(server.URL())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Close() })
	store := affinity.NewCached(affinity.NewMemory(1_000_000), affinity.NewRedis(client, "bench:"), affinity.CachedOptions{})
	ctx, stop := context.WithCancel(context.Background())
	var watch sync.WaitGroup
	watch.Go(func() { store.Run(ctx) })
	b.Cleanup(func() { stop(); watch.Wait() })
	var made atomic.Int64
	node := listen(b, func(conn net.Conn) { openAll(conn, &made) })
	s := startGateway(b, withStore(store), func(o *siteOptions) {
		o.routes = append(o.routes, gateway.Route{
			Path: "/socket.io/", Cluster: cluster.New("bench", cluster.Settings{Nodes: []cluster.Config{{Name: "n1", Address: node, Weight: 1}}}),
		})
	})
	var work sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	sets, began := server.Calls("set"), processTime()
	b.ReportAllocs()
	b.ResetTimer()
	for range clients {
		work.Go(func() {
			conn, err := connect(s.addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			answer := make([]byte, 4<<10)
			for left.Add(-1) >= 0 {
				conn.Write([]byte(benchHandshake))
				if n, err := conn.Read(answer); err != nil || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 200")) {
					b.Errorf("%v: %s", err, answer[:n])
					return
				}
			}
		})
	}
	work.Wait()
	b.StopTimer()
	b.ReportMetric(float64(processTime()-began)/1e3/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(server.Calls("set")-sets)/float64(b.N), "SET/op")
}

// openAll answers each request with a session of its own.
func openAll(conn net.Conn, made *atomic.Int64) {
	defer conn.Close()
	buf := make([]byte, 8<<10)
	for {
		if _, err := conn.Read(buf); err != nil {
			return
		}
		body := fmt.Sprintf(`0{"sid":"%020d","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}`, made.Add(1))
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}

// processTime is the CPU time that this process has spent.
func processTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
