package gateway_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

const benchSID = "TO9gdy7dDtqtZNAYAAAB"

const benchPoll = "GET /socket.io/?EIO=4&transport=polling&t=Pa3k&sid=" + benchSID + " HTTP/1.1\r\n" +
	"Host: chat.example.com\r\nConnection: keep-alive\r\nAccept: */*\r\nOrigin: https://example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n\r\n"

const benchPost = "POST /socket.io/?EIO=4&transport=polling&t=Pa3k&sid=" + benchSID + " HTTP/1.1\r\n" +
	"Host: chat.example.com\r\nConnection: keep-alive\r\nContent-Type: text/plain;charset=UTF-8\r\n" +
	"Content-Length: 21\r\n\r\n42[\"message\",\"hello\"]"

// answerAll answers each request of a kept connection without allocating, so that all allocations that are counted are
// the gateway's.
func answerAll(conn net.Conn) {
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: 22\r\n" +
		"Cache-Control: no-store\r\nKeep-Alive: timeout=5\r\n\r\n42[\"message\",\"hello!\"]")
	buf := make([]byte, 8<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			conn.Close()
			return
		}
		if bytes.Contains(buf[:n], []byte("\r\n\r\n")) {
			conn.Write(answer)
		}
	}
}

// BenchmarkRoad measures a poll and a POST of a known session on a kept connection, over loopback, client and node
// included.
func BenchmarkRoad(b *testing.B) {
	for name, request := range benchRequests {
		b.Run(name, func(b *testing.B) {
			ask := benchRoad(b, []byte(request))
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}

var benchRequests = map[string]string{"poll": benchPoll, "post": benchPost}

// benchRoad starts a node and a gateway until b ends, and returns a function that sends the request and reads its answer.
func benchRoad(b testing.TB, request []byte, trusted ...netip.Prefix) (ask func()) {
	return askOn(b, benchGateway(b, benchOptions{trusted: trusted}), request)
}

// askOn returns a function that sends the request on a connection and reads its answer.
func askOn(b testing.TB, conn *wire, request []byte) func() {
	answer := make([]byte, 4<<10)
	return func() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		if n, err := conn.Read(answer); err != nil || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 200")) {
			b.Fatal(fmt.Errorf("%w: %s", err, answer[:n]))
		}
	}
}

// benchOptions are what a benchmark's gateway has beside the usual.
type benchOptions struct {
	limits     func(*gateway.Limits)
	trusted    []netip.Prefix
	auth       *gateway.Auth
	introduced string // the PROXY header that the connection begins with; "": none
}

// benchGateway starts a node and a gateway until b ends, and returns a connection to it.
func benchGateway(b testing.TB, o benchOptions) *wire {
	node := listen(b, answerAll)
	store := affinity.NewMemory(100)
	store.Bind(b.Context(), benchSID, affinity.Binding{Node: "n1", Version: 4, PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second})
	tunnels, loops := carriers(b)
	l := gateway.Limits{
		Connections: 100, HeaderTime: 5 * time.Second, BodyTime: 10 * time.Second, BodyRate: 1000, IdleTime: 75 * time.Second,
		WriteTime: 30 * time.Second, HandshakeTime: 2500 * time.Millisecond, QueueTime: 5 * time.Second, Queue: 100,
	}
	if o.limits != nil {
		o.limits(&l)
	}
	g := gateway.New(gateway.Options{
		Settings: gateway.Settings{
			Routes: []gateway.Route{{
				Path:    "/socket.io/",
				Cluster: cluster.New("bench", cluster.Settings{Nodes: []cluster.Config{{Name: "n1", Address: node, Weight: 1}}}),
				Store:   store,
				Auth:    o.auth,
			}},
			Limits:  l,
			Trusted: o.trusted,
		},
		Tunnels: tunnels,
		Loops:   loops,
		Metrics: gateway.NewMetrics(prometheus.NewRegistry()),
		Log:     slog.New(slog.DiscardHandler),
	})
	at := listenLocal(b)
	listen := listenOptions()
	listen.ProxyProtocol = o.introduced != ""
	g.Listen(at, listen)
	b.Cleanup(func() {
		g.Close()
		for _, l := range loops {
			l.End()
		}
	})
	conn, err := connectAs(at.Addr().String(), o.introduced)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return conn
}

// listen serves each connection to a loopback address in a goroutine until the benchmark ends.
func listen(b testing.TB, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return l.Addr().String()
}
