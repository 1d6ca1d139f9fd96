package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// withTLS has the gateway serve by TLS, and withSecureNodes speak to its nodes so.
func withTLS(o *siteOptions) { o.listen.TLS = serverTLS }

// secureClient connects to the gateway at addr by TLS, whatever this run has.
func secureClient(t *testing.T, addr string, config *tls.Config) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// A ticket of the first connection spares the second one a full handshake.
func TestTLSIsCounted(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(node), withTLS)
	config := clientTLS.Clone()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for range 2 {
		conn := secureClient(t, s.addr, config)
		io.WriteString(conn, get(handshakeTarget, "Connection: close"))
		if b, err := io.ReadAll(conn); err != nil || !bytes.Contains(b, []byte(aSID)) {
			t.Fatalf("%q %v", b, err)
		}
	}
	for _, outcome := range []string{"full", "resumed"} {
		if n := s.metric("sidway_tls_handshakes_total", "client", outcome); n != 1 {
			t.Errorf("%v handshakes are counted as %s", n, outcome)
		}
	}
}

// An authority that looks whether a host is ours gets no answer to requests: it need not have a client's certificate.
func TestAnAuthorityIsServedNothing(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", engine(aSID))
	config := serverTLS.Clone()
	config.NextProtos = []string{"acme-tls/1"}
	s := startGateway(t, withNodes(node), func(o *siteOptions) { o.listen.TLS = config })
	asks := clientTLS.Clone()
	asks.NextProtos = config.NextProtos
	conn := secureClient(t, s.addr, asks)
	io.WriteString(conn, get(handshakeTarget, "Connection: close"))
	if b, err := io.ReadAll(conn); len(b) > 0 {
		t.Errorf("%q %v", b, err)
	}
}

// Whoever speaks HTTP to a port for TLS is told so in HTTP.
func TestPlainHTTPOnAPortForTLS(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := startGateway(t, withNodes(startNode(t, "n1", nil)), withTLS, withLog(slog.New(slog.NewTextHandler(&log, nil))))
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, get("/socket.io/?EIO=4&transport=polling"))
	if b, _ := io.ReadAll(conn); !bytes.HasPrefix(b, []byte("HTTP/1.1 400 ")) || !bytes.Contains(b, []byte("https://")) {
		t.Errorf("got %q", b)
	}
	s.Close()
	if f := s.Figures()[""].Responses; f["plain_http"] != 1 || len(f) != 1 {
		t.Errorf("the status has %v", f)
	}
	if n := s.metric("sidway_tls_handshakes_total", "client", "plain"); n != 1 || !strings.Contains(log.String(), "a client speaks plain HTTP") {
		t.Errorf("counted %v, logged %s", n, log.String())
	}
}

// A node whose certificate is nobody's gets no request, and the log says why.
func TestNodeThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	l, err := tls.Listen("tcp", "127.0.0.1:0", serverTLS)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan string, 10)
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			b, _ := io.ReadAll(conn)
			asked <- string(b)
			conn.Close()
		}
	}()
	_, stranger := selfSigned("127.0.0.1")
	good := startNode(t, "good", engine(aSID))
	var log bytes.Buffer
	s := startGateway(t, withLog(slog.New(slog.NewTextHandler(&log, nil))), func(o *siteOptions) {
		o.routes = []gateway.Route{{Path: "/socket.io/", Cluster: cluster.New("c1", cluster.Settings{Nodes: []cluster.Config{
			{Name: "bad", Address: l.Addr().String(), Weight: 1000, TLS: stranger}, {Name: "good", Address: good.addr, Weight: 1, TLS: nodeTLS()},
		}})}}
	})
	c := dial(t, s.addr)
	for range 3 {
		c.expect(get(handshakeTarget), 200, openPacket(aSID))
	}
	if b := <-asked; b != "" {
		t.Errorf("the node was asked %q", b)
	}
	s.Close()
	if n := s.metric("sidway_setup_faults_total", "node_tls"); n < 1 || !strings.Contains(log.String(), "certificate signed by unknown authority") {
		t.Errorf("counted %v, logged %s", n, log.String())
	}
}

// A node that cannot be spoken to by TLS is ejected for that, and what is to be mended is told, by its latest cause.
func TestWhyANodeIsNotSpokenToByTLS(t *testing.T) {
	t.Parallel()
	server, client := selfSigned("127.0.0.1")
	_, stranger := selfSigned("127.0.0.1")
	named := client.Clone()
	named.ServerName = "chat.internal"
	asks, asksOld := server.Clone(), server.Clone()
	asks.ClientAuth, asksOld.ClientAuth, asksOld.MaxVersion = tls.RequireAnyClientCert, tls.RequireAnyClientCert, tls.VersionTLS12
	late := client.Clone()
	late.Time = func() time.Time { return time.Now().Add(24 * time.Hour) }
	good := startNode(t, "good", engine(aSID))
	s := startGateway(t, withNodes(good))
	for _, c := range []struct {
		why            string
		server, client *tls.Config // server nil: it speaks HTTP
		told           string
	}{
		{"untrusted", server, stranger, "write the file of those who sign as node_tls.ca (tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"misnamed", server, named, "write one that it has as node_tls.name (tls: failed to verify certificate: x509: "},
		{"over", server, late, "does not hold: renew it (tls: failed to verify certificate: x509: certificate has expired"},
		{"plain", nil, client, "is its URL to begin with http:// ?"},
		{"asks", asks, client, "write node_tls.cert and node_tls.key (remote error: tls: certificate required)"},
		{"asks by TLS 1.2", asksOld, client, "does it want a certificate of sidway's own (node_tls.cert), or another version? (remote error: tls: handshake failure)"},
	} {
		l := listenLocal(t)
		go func() {
			for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
				if c.server == nil {
					_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
				} else {
					_ = tls.Server(conn, c.server).Handshake()
				}
				_, _ = io.Copy(io.Discard, conn) // a reset could overtake the alert
				conn.Close()
			}
		}()
		cl := s.clusters[0]
		cl.Update(cluster.Settings{Nodes: []cluster.Config{
			{Name: "good", Address: good.addr, Weight: 1, TLS: nodeTLS()}, {Name: "bad", Address: l.Addr().String(), Weight: 1000, TLS: c.client},
		}})
		eventually(t, "the node is ejected that is "+c.why, func() bool {
			dial(t, s.addr).expect(get(handshakeTarget), 200, openPacket(aSID))
			return s.metric("sidway_node_ejected", "bad") == 1
		})
		for _, status := range cl.Statuses() {
			if status.Node.Name == "bad" && status.Why != cluster.ReasonTLS {
				t.Errorf("%s: ejected for %s", c.why, status.Why)
			}
		}
		told := s.faults()
		if len(told) != 1 || told[0].Reason != "node_tls" || !strings.Contains(told[0].Text, c.told) {
			t.Errorf("%s: told %+v", c.why, told)
		}
		l.Close()
	}
}

// A node that hangs up in the handshake is told of by what it does, and not as one that says nothing.
func TestNodeThatCutsTheHandshake(t *testing.T) {
	t.Parallel()
	l := listenLocal(t)
	defer l.Close()
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			conn.Read(make([]byte, 1))
			conn.Close()
		}
	}()
	good := startNode(t, "good", engine(aSID))
	s := startGateway(t, func(o *siteOptions) {
		o.routes = []gateway.Route{{Path: "/socket.io/", Cluster: cluster.New("c1", cluster.Settings{Nodes: []cluster.Config{
			{Name: "bad", Address: l.Addr().String(), Weight: 1000, TLS: clientTLS}, {Name: "good", Address: good.addr, Weight: 1, TLS: nodeTLS()},
		}})}}
	})
	dial(t, s.addr).expect(get(handshakeTarget), 200, openPacket(aSID))
	if n := s.metric("sidway_setup_faults_total", "node_tls"); n != 1 {
		t.Errorf("told %v times", n)
	}
}

// A client of TLS 1.2 that wants to negotiate again, each time for the price of a handshake, is cut.
func TestRenegotiationIsRefused(t *testing.T) {
	t.Parallel()
	s := startGateway(t, withNodes(startNode(t, "n1", nil)), withTLS)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, "openssl", "s_client", "-connect", s.addr, "-tls1_2")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, "R\n") // it is a command to openssl
	out, err := c.CombinedOutput()
	if ctx.Err() != nil || !bytes.Contains(out, []byte("RENEGOTIATING")) || !bytes.Contains(out, []byte("alert unexpected message")) {
		t.Errorf("openssl s_client (Debian: apt-get install openssl) ended with %v:\n%s", err, out)
	}
}
