//go:build linux

package tunnel_test

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/tunnel"
)

// queues is a duplicate of a socket's descriptor, to see what the kernel holds for it even after an engine took the socket.
// The socket lives until it is closed too.
type queues int

func watch(t *testing.T, c net.Conn) queues {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	must(t, err)
	var fd int
	var failed error
	must(t, raw.Control(func(s uintptr) { fd, failed = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) }))
	must(t, failed)
	return queues(fd)
}

func (q queues) close() { unix.Close(int(q)) }

// unread is what waits to be read from the socket.
func (q queues) unread(t *testing.T) int64 { return q.ask(t, unix.SIOCINQ) }

// unsent is what was written to the socket and has not been acknowledged.
func (q queues) unsent(t *testing.T) int64 { return q.ask(t, unix.SIOCOUTQ) }

func (q queues) ask(t *testing.T, request uint) int64 {
	t.Helper()
	n, err := unix.IoctlGetInt(int(q), request)
	must(t, err)
	return int64(n)
}

// pressure fills a tunnel from one end while the other reads nothing, and checks that of all that was taken, at most 64 KiB are
// in neither of the kernel's queues. Then it reads all.
func pressure(t *testing.T, from, to net.Conn, path [4]queues) {
	var taken int64
	for b := make([]byte, 256<<10); ; {
		must(t, from.SetWriteDeadline(time.Now().Add(200*time.Millisecond)))
		n, err := from.Write(b)
		taken += int64(n)
		if n == 0 && err != nil {
			break
		}
	}
	inMemory := int64(-1)
	eventually(t, "the queues at rest", func() bool {
		last := inMemory
		inMemory = taken - path[0].unsent(t) - path[1].unread(t) - path[2].unsent(t) - path[3].unread(t)
		return inMemory == last && inMemory >= 0
	})
	if inMemory > 64<<10 {
		t.Errorf("%d bytes wait in our memory", inMemory)
	}
	t.Logf("%d bytes taken, %d of them in our memory", taken, inMemory)
	for b := make([]byte, 1<<20); taken > 0; {
		n, err := to.Read(b)
		must(t, err)
		taken -= int64(n)
	}
}

func TestBackpressure(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		client, gatewayClient := tcpPair(t)
		node, gatewayNode := tcpPair(t)
		path := [4]queues{watch(t, client), watch(t, gatewayClient), watch(t, gatewayNode), watch(t, node)}
		for _, q := range path {
			defer q.close()
		}
		back := [4]queues{path[3], path[2], path[1], path[0]}
		start(t, e, tunnel.Options{}, ends{client: client, node: node, inner: [2]net.Conn{gatewayClient, gatewayNode}})
		pressure(t, client, node, path)
		pressure(t, node, client, back)
	})
}

// narrowPair is a TCP connection whose kernel buffers hold little of what the accepted end sends.
func narrowPair(t *testing.T) (dialled, accepted net.Conn) {
	t.Helper()
	l := listen(t)
	defer l.Close()
	narrow := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10) })
	}}
	dialled, err := narrow.DialContext(t.Context(), "tcp", l.Addr().String())
	must(t, err)
	accepted, err = l.Accept()
	must(t, err)
	must(t, accepted.(*net.TCPConn).SetWriteBuffer(4<<10))
	return dialled, accepted
}

// A client that closes before it has read all resets the connection, and a write to it fails. What it sent before still reaches
// its node, however late the node takes it.
func TestLastWordsBeforeAReset(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		client, gatewayClient := tcpPair(t)
		node, gatewayNode := narrowPair(t)
		fromClient, toGateway, fromNode := watch(t, client), watch(t, gatewayClient), watch(t, gatewayNode)
		defer toGateway.close()
		x := start(t, e, tunnel.Options{}, ends{client: client, node: node, inner: [2]net.Conn{gatewayClient, gatewayNode}})

		words := strings.Repeat("last words", 10<<10)
		send(t, client, words)
		eventually(t, "all in the gateway's kernel", func() bool { return fromClient.unsent(t) == 0 })
		if toGateway.unread(t) == 0 {
			t.Fatal("the tunnel has read all: the node's buffers are too large for this test")
		}
		send(t, node, "never read")
		eventually(t, "unread by the client", func() bool { return fromClient.unread(t) > 0 })
		fromClient.close()
		client.Close()
		send(t, node, "to nobody")
		eventually(t, "taken by the tunnel", func() bool { return fromNode.unread(t) == 0 })
		fromNode.close() // the engine's is the last now, and ends the connection

		receive(t, node, words)
		receiveEnd(t, node)
		node.Close()
		x.endsBy(tunnel.ClientClosed)
	})
}
