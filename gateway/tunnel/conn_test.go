package tunnel_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/tunnel"
)

// certificate is a self-signed one for the tests' TLS servers.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)},
		&x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tlsPair returns the two ends of a TLS connection over loopback TCP, its handshake done.
func tlsPair(t testing.TB) (dialled, accepted net.Conn) {
	t.Helper()
	a, b := tcpPair(t)
	client := tls.Client(a, &tls.Config{InsecureSkipVerify: true})
	server := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
	shaken := make(chan error)
	go func() { shaken <- client.HandshakeContext(t.Context()) }()
	must(t, server.HandshakeContext(t.Context()))
	must(t, <-shaken)
	return client, server
}

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

// wrapped hides a TCP connection's type, but not that it can be half-closed.
type wrapped struct{ net.Conn }

func (w wrapped) CloseWrite() error { return w.Conn.(*net.TCPConn).CloseWrite() }

func TestConnectionsOfAllKinds(t *testing.T) {
	kinds := map[string]func(testing.TB) (net.Conn, net.Conn){
		"tcp": tcpPair, "tls": tlsPair, "unix": unixPair,
		"wrapped": func(t testing.TB) (net.Conn, net.Conn) { a, b := tcpPair(t); return a, wrapped{b} },
	}
	limits := tunnel.Options{Idle: time.Minute, Grace: time.Minute, Block: time.Minute}
	each(t, func(t *testing.T, e engine) {
		for left, client := range kinds {
			for right, node := range kinds {
				t.Run(left+" to "+right, func(t *testing.T) {
					o := limits
					var x ends
					x.client, o.Client = client(t)
					x.node, o.Node = node(t)
					exchange(t, start(t, e, o, x))
				})
			}
		}
	})
}

func TestLimitsOverTLS(t *testing.T) {
	overTLS := func(t *testing.T, e engine, o tunnel.Options) ends {
		var x ends
		x.client, o.Client = tlsPair(t)
		x.node, o.Node = tcpPair(t)
		return start(t, e, o, x)
	}
	each(t, func(t *testing.T, e engine) {
		x := overTLS(t, e, tunnel.Options{Idle: 50 * time.Millisecond})
		send(t, x.client, "ping")
		receive(t, x.node, "ping")
		x.endsBy(tunnel.ClientIdle)

		began := time.Now()
		x = overTLS(t, e, tunnel.Options{Block: 50 * time.Millisecond})
		flood(x.node)
		x.endsBy(tunnel.Blocked)
		if d := time.Since(began); d >= 5*time.Second {
			t.Errorf("ended after %v: tls.Conn's farewell was waited for", d)
		}
		if _, err := io.Copy(io.Discard, x.client); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a blocked client sees %v, want a reset", err)
		}

		x = overTLS(t, e, tunnel.Options{})
		go obey(x)
		must(t, e.Shutdown(t.Context(), 1, 0))
		x.endsBy(tunnel.Shutdown)
	})
}

// A pipe cannot be half-closed: the end of one side is the end of the tunnel.
func TestPipes(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		x := pipes(t, e, tunnel.Options{ToClient: []byte("early")})
		receive(t, x.client, "early")
		send(t, x.client, "ping")
		receive(t, x.node, "ping")
		x.node.Close()
		receiveEnd(t, x.client)
		x.endsBy(tunnel.NodeClosed)
	})
}

// pipes starts a tunnel between two net.Pipes.
func pipes(t testing.TB, e engine, o tunnel.Options) ends {
	var x ends
	x.client, o.Client = net.Pipe()
	x.node, o.Node = net.Pipe()
	return start(t, e, o, x)
}

// limited records whether a write deadline is set.
type limited struct {
	net.Conn
	set atomic.Bool
}

func (l *limited) SetWriteDeadline(t time.Time) error {
	l.set.Store(!t.IsZero())
	return l.Conn.SetWriteDeadline(t)
}

// A TLS connection may have to write while it reads (RFC 8446, 4.6.3: the answer to a key update), so no deadline of a past
// write may be left on it.
func TestWriteDeadlinesDoNotOutliveWrites(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		client, gatewayClient := net.Pipe()
		node, gatewayNode := net.Pipe()
		l := &limited{Conn: gatewayClient}
		x := start(t, e, tunnel.Options{Client: l, Node: gatewayNode, Block: time.Minute}, ends{client: client, node: node})
		send(t, x.node, "ping")
		receive(t, x.client, "ping")
		eventually(t, "no write deadline", func() bool { return !l.set.Load() })
	})
}

func TestDeadlinesOfBeforeAreCleared(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		var x ends
		var o tunnel.Options
		x.client, o.Client = tcpPair(t)
		x.node, o.Node = tcpPair(t)
		past := time.Unix(1, 0)
		must(t, o.Client.SetDeadline(past))
		must(t, o.Node.SetDeadline(past))
		x = start(t, e, o, x)
		send(t, x.client, "ping")
		receive(t, x.node, "ping")
		send(t, x.node, "pong")
		receive(t, x.client, "pong")
	})
}

// broken fails to be read, and not because its peer has gone.
type broken struct{ net.Conn }

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestOtherFailures(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		client, gatewayClient := net.Pipe()
		node, gatewayNode := net.Pipe()
		x := start(t, e, tunnel.Options{Client: broken{gatewayClient}, Node: gatewayNode}, ends{client: client, node: node})
		receiveEnd(t, x.node)
		x.endsBy(tunnel.Failed)
	})
}
