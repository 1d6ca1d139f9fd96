package tunnel_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/sidway/sidway/gateway/tunnel"
)

// stream writes size bytes of a seed's own noise in pieces of all sizes, then ends its side, and returns their sum.
func stream(t *testing.T, c net.Conn, seed uint64, size int) (sum [sha256.Size]byte) {
	h := sha256.New()
	noise := rand.NewChaCha8([32]byte{byte(seed)})
	dice := rand.New(rand.NewPCG(seed, 0))
	for size > 0 {
		b := make([]byte, min(size, 1+dice.IntN(1<<dice.IntN(18))))
		noise.Read(b)
		h.Write(b)
		if _, err := c.Write(b); err != nil {
			t.Errorf("write: %v", err)
			return sum
		}
		size -= len(b)
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Errorf("close write: %v", err)
	}
	h.Sum(sum[:0])
	return sum
}

// sum reads a connection to its end.
func sum(t *testing.T, c net.Conn) (n int64, sum [sha256.Size]byte) {
	h := sha256.New()
	n, err := io.Copy(h, c)
	if err != nil {
		t.Errorf("read: %v", err)
	}
	h.Sum(sum[:0])
	return n, sum
}

// exchange sends megabytes both ways at once and checks that they arrive whole and in order, up to the ends of both sides.
func exchange(t *testing.T, x ends) {
	const toNode, toClient = 3 << 20, 5 << 20
	var sent, got [2][sha256.Size]byte
	var wg sync.WaitGroup
	wg.Go(func() { sent[0] = stream(t, x.client, 1, toNode) })
	wg.Go(func() { sent[1] = stream(t, x.node, 2, toClient) })
	wg.Go(func() { _, got[0] = sum(t, x.node) })
	wg.Go(func() { _, got[1] = sum(t, x.client) })
	wg.Wait()
	if sent != got {
		t.Error("bytes were changed, lost or moved")
	}
	r := x.result()
	if r.FromClient != toNode || r.FromNode != toClient {
		t.Errorf("counted %d and %d bytes, want %d and %d", r.FromClient, r.FromNode, toNode, toClient)
	}
}

func TestBytesArriveInOrderBothWays(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		exchange(t, join(t, e, tunnel.Options{}))
	})
}

func TestEarlyBytesGoFirst(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		early := func(s string) []byte { return bytes.Repeat([]byte(s), 100_000) }
		x := join(t, e, tunnel.Options{ToClient: early("node"), ToNode: early("client")})
		send(t, x.client, "later")
		send(t, x.node, "later")
		receive(t, x.node, string(early("client"))+"later")
		receive(t, x.client, string(early("node"))+"later")
		x.client.Close()
		receiveEnd(t, x.node)
		x.node.Close()
		r := x.endsBy(tunnel.ClientClosed)
		if r.FromClient != 600_005 || r.FromNode != 400_005 {
			t.Errorf("counted %d and %d bytes", r.FromClient, r.FromNode)
		}
	})
}

func send(t testing.TB, c net.Conn, s string) {
	t.Helper()
	_, err := io.WriteString(c, s)
	must(t, err)
}

func receive(t testing.TB, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	_, err := io.ReadFull(c, got)
	must(t, err)
	if string(got) != want {
		t.Errorf("received %.40q, want %.40q", got, want)
	}
}

// receiveEnd checks that the peer has ended its side.
func receiveEnd(t testing.TB, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read %d bytes and %v, want the end", n, err)
	}
}
