package gateway_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pires/go-proxyproto"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// proxiedNode is a node that demands a header of the PROXY protocol, as another implementation reads it.
type proxiedNode struct {
	addr    string
	version atomic.Int32 // of the last header
	open    atomic.Int32 // connections
	made    atomic.Int32
	tls     *tls.Config
}

// startProxiedNode answers with the address that the node sees.
func startProxiedNode(t *testing.T, secure bool) *proxiedNode {
	t.Helper()
	n := &proxiedNode{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			io.WriteString(w, r.RemoteAddr)
			return
		}
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n%s", socketAccept, frame(r.RemoteAddr))
		io.Copy(io.Discard, c)
		c.Close()
		n.open.Add(-1)
	}))
	s.Listener = &proxyproto.Listener{
		Listener:   s.Listener,
		ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil },
		ValidateHeader: func(h *proxyproto.Header) error {
			n.version.Store(int32(h.Version))
			return nil
		},
	}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			n.open.Add(1)
			n.made.Add(1)
		case http.StateClosed:
			n.open.Add(-1)
		}
	}
	if secure {
		n.tls, s.TLS = clientTLS, serverTLS.Clone() // without HTTP/2
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	n.addr = s.Listener.Addr().String()
	return n
}

// introducing has the cluster's connections begin with a header.
func introducing(n *proxiedNode, version byte) siteOption {
	return func(o *siteOptions) {
		nodes := []cluster.Config{{Name: "n1", Address: n.addr, Weight: 1, TLS: n.tls}}
		o.routes = append(o.routes, gateway.Route{Path: "/socket.io/", ProxyProtocol: version, Cluster: cluster.New("c1", cluster.Settings{Nodes: nodes})})
	}
}

// Nodes see each client's own address and port, on connections that no other client uses and that end with the client's.
func TestHeaderToNodes(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		version := byte(1)
		if secure {
			version = 2
		}
		n := startProxiedNode(t, secure)
		g := startGateway(t, introducing(n, version))
		clients := []*rawClient{dial(t, g.addr), dial(t, g.addr), dial(t, g.addr)}
		for range 3 {
			for _, c := range clients {
				c.send(get("/"))
				if r := c.answer(); r.Text != c.LocalAddr().String() {
					t.Errorf("version %d: the node sees %q, not %s", version, r.Text, c.LocalAddr())
				}
			}
		}
		if got := n.made.Load(); got != 3 || n.version.Load() != int32(version) {
			t.Errorf("version %d: %d connections for three clients, the last with version %d", version, got, n.version.Load())
		}
		clients[0].Close()
		eventually(t, "a client's connections to nodes end with it", func() bool { return n.open.Load() == 2 })
		c := clients[1]
		c.send(get(directTarget, asksWebSocket...))
		if r := c.start("GET"); r.StatusCode != 101 {
			t.Errorf("version %d: answered %d", version, r.StatusCode)
		}
		if want := frame(c.LocalAddr().String()); c.read(len(want)) != want {
			t.Errorf("version %d: of a WebSocket the node sees another address", version)
		}
		eventually(t, "an idle connection ends with that of the client, which is a tunnel's", func() bool { return n.open.Load() == 2 })
	}
}

// What a proxy in front says of the client goes on to nodes, and a connection that names one is not used for the next.
func TestHeaderToNodesBehindProxies(t *testing.T) {
	t.Parallel()
	n := startProxiedNode(t, encrypted)
	g := startGateway(t, introducing(n, 2), introduced, withTrusted("127.0.0.0/8"))
	c := introduce(t, g.addr, headerOfSeven, get("/"), false)
	ask := func(lines ...string) string {
		t.Helper()
		c.send(get("/", lines...))
		return c.answer().Text
	}
	if got := c.answer().Text; got != "[2001:db8::7]:12345" {
		t.Errorf("the node sees %s", got)
	}
	c = introduce(t, g.addr, headerLocal, get("/", "X-Forwarded-For: 9.9.9.9"), false)
	if got := c.answer().Text; got != "9.9.9.9:0" {
		t.Errorf("the node sees %s", got)
	}
	for _, want := range []string{"9.9.9.9:0", "9.9.9.9:0", "8.8.8.8:0", c.LocalAddr().String()} {
		host, port, _ := net.SplitHostPort(want)
		line := "A: b"
		if port == "0" {
			line = "X-Forwarded-For: " + host
		}
		if got := ask(line); got != want {
			t.Errorf("the node sees %s, not %s", got, want)
		}
	}
	if got := n.made.Load(); got != 4 {
		t.Errorf("there were %d connections", got)
	}
}

// A server that expects no header answers it as something that is no HTTP: Node without a word, Go with some.
func TestNodesThatExpectNoHeaderAreTold(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 1000))
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
			c.Close()
		}
	}()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	for _, addr := range []string{silent.Addr().String(), server.Listener.Addr().String()} {
		for version := range byte(2) {
			s, log := warned(t, introducing(&proxiedNode{addr: addr}, version+1))
			for range 10 {
				if status, _ := raw(t, s.addr, get(handshakeTarget)).ask(""); status != 400 {
					t.Errorf("answered %d", status)
				}
			}
			s.once(log, `a node refuses one handshake after the other: does it expect the PROXY protocol's header (clusters.proxy_protocol)?" cluster=c1 node=n1`, "refusals", 1)
		}
	}
}

// A node that expects one cuts what begins with something else.
func TestNodesThatExpectAHeaderAreTold(t *testing.T) {
	t.Parallel()
	s, log := warned(t, introducing(startProxiedNode(t, false), 0))
	for range 3 {
		raw(t, s.addr, get(handshakeTarget)).ask("")
	}
	if !strings.Contains(log.String(), "does it expect the PROXY protocol as the cluster's proxy_protocol says?") {
		t.Error(log.String())
	}
}
