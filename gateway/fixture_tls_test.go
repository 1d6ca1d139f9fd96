package gateway_test

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
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
)

// encrypted has the whole suite run with TLS between clients, gateway and nodes: SIDWAY_TEST_TLS=1 go test -count=1 ./gateway. What
// crypto/tls cannot do is left out then.
var encrypted = os.Getenv("SIDWAY_TEST_TLS") != ""

// serverTLS is the configuration of gateways and nodes that are encrypted, clientTLS that of those who connect to them.
var serverTLS, clientTLS = selfSigned("127.0.0.1")

// selfSigned returns a server's configuration for an address and that of a client which trusts it.
func selfSigned(address string) (server, client *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.ParseIP(address)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, DynamicRecordSizingDisabled: true}
	client = &tls.Config{RootCAs: pool, ServerName: address, ClientSessionCache: tls.NewLRUClientSessionCache(0), DynamicRecordSizingDisabled: true}
	return server, client
}

// ownScheme is what nodes are told of clients' own connections in this run.
var ownScheme = map[bool]string{false: "http", true: "https"}[encrypted]

// listenOptions and nodeTLS are what gateways of this run are told.
func listenOptions() (o gateway.ListenOptions) {
	if encrypted {
		o.TLS = serverTLS
	}
	return o
}

func nodeTLS() *tls.Config {
	if encrypted {
		return clientTLS
	}
	return nil
}

// wire is a connection to the gateway, or from it, as this run has them.
type wire struct {
	*net.TCPConn
	tls    *tls.Conn   // nil: as it is
	resets atomic.Bool // its close is no orderly one
}

// SetLinger makes the close a reset.
func (w *wire) SetLinger(seconds int) error {
	w.resets.Store(seconds == 0)
	return w.TCPConn.SetLinger(seconds)
}

// connect connects to the gateway at addr.
func connect(addr string) (*wire, error) { return connectAs(addr, "") }

// connectAs is connect with a PROXY header before all else.
func connectAs(addr, header string) (*wire, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(conn, header)
	return clientWire(conn), err
}

func clientWire(conn net.Conn) *wire {
	w := &wire{TCPConn: conn.(*net.TCPConn)}
	if encrypted {
		w.tls = tls.Client(conn, clientTLS)
	}
	return w
}

// nodeWire is a connection that a node has accepted.
func nodeWire(conn net.Conn) *wire {
	w := &wire{TCPConn: conn.(*net.TCPConn)}
	if encrypted {
		w.tls = tls.Server(conn, serverTLS)
	}
	return w
}

func (w *wire) Read(b []byte) (int, error) {
	if w.tls != nil {
		return w.tls.Read(b)
	}
	return w.TCPConn.Read(b)
}

func (w *wire) Write(b []byte) (int, error) {
	if w.tls != nil {
		return w.tls.Write(b)
	}
	return w.TCPConn.Write(b)
}

// ReadFrom hides that of the socket.
func (w *wire) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{w}, r) }

// CloseWrite says that no more comes.
func (w *wire) CloseWrite() error {
	if w.tls != nil {
		return errors.Join(w.tls.CloseWrite(), w.TCPConn.CloseWrite())
	}
	return w.TCPConn.CloseWrite()
}

// Close closes the socket, orderly as far as it can be.
func (w *wire) Close() error {
	if w.tls != nil && !w.resets.Load() {
		w.tls.SetWriteDeadline(time.Now()) // nobody waits for a peer that takes nothing
		w.tls.CloseWrite()
	}
	return w.TCPConn.Close()
}

// plainOnly leaves out a test of what crypto/tls cannot do.
func plainOnly(t testing.TB) {
	t.Helper()
	if encrypted {
		t.Skip("not with TLS")
	}
}
