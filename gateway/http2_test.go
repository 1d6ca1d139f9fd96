package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
)

// withHTTP2 has the gateway offer HTTP/2.
func withHTTP2(o *siteOptions) {
	o.listen.TLS = serverTLS.Clone()
	o.listen.TLS.NextProtos = []string{"h2", "http/1.1"}
}

// secondClient is a client that speaks HTTP/2 alone.
func secondClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: clientTLS.Clone(), ForceAttemptHTTP2: true, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func ask(t *testing.T, c *http.Client, r *http.Request) (int, string) {
	t.Helper()
	a, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if a.ProtoMajor != 2 {
		t.Fatalf("answered by %s", a.Proto)
	}
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(b)
}

func newRequest(t *testing.T, method, url, body string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// Polls, POSTs and pages come by HTTP/2, many at once on one connection, and nodes hear of the client as from any other.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(node), withHTTP2)
	c, base := secondClient(t), "https://"+s.addr
	if status, body := ask(t, c, newRequest(t, "GET", base+handshakeTarget, "")); status != 200 || !strings.Contains(body, aSID) {
		t.Fatalf("got %d %q", status, body)
	}
	if status, _ := ask(t, c, newRequest(t, "GET", base+"/page%2Fa?q=%zz&x=;", "", "X-Forwarded-For", "6.6.6.6", "Cookie", "a=b")); status != 200 {
		t.Errorf("got %d", status)
	}
	if status, body := ask(t, c, newRequest(t, "POST", base+postTarget(aSID), "4hello")); status != 200 || body != "ok" {
		t.Errorf("got %d %q", status, body)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			a, err := c.Do(newRequest(t, "GET", base+pollTarget(aSID), ""))
			if err != nil {
				t.Error(err)
				return
			}
			defer a.Body.Close()
			if b, err := io.ReadAll(a.Body); err != nil || a.StatusCode != 200 || string(b) != "6" {
				t.Errorf("%d %q %v", a.StatusCode, b, err)
			}
		})
	}
	all.Wait()
	for _, want := range []string{"GET /page%2Fa?q=%zz&x=; HTTP/1.1", "X-Forwarded-For: 127.0.0.1", "Cookie: a=b"} {
		if !strings.Contains(strings.ToLower(node.received()), strings.ToLower(want)) {
			t.Errorf("no %q in what the node has got: %s", want, node.received())
		}
	}
	if strings.Contains(node.received(), "6.6.6.6") {
		t.Error("a stranger's X-Forwarded-For is believed")
	}
}

// A client that gives a poll up by RST_STREAM has left, and others on its connection go on.
func TestHTTP2StreamThatIsReset(t *testing.T) {
	t.Parallel()
	asked := make(chan *nodeConn, 1)
	node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if strings.Contains(r.RequestURI, "transport=polling&sid=") {
			asked <- c
			<-c.gone
			return
		}
		plainly(c, r)
	})
	s := startGateway(t, withNodes(node), withHTTP2)
	s.bind(aSID, node)
	c, base := secondClient(t), "https://"+s.addr
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := c.Do(newRequest(t, "GET", base+pollTarget(aSID), "").WithContext(ctx))
		failed <- err
	}()
	poll := <-asked
	cancel()
	if err := <-failed; err == nil {
		t.Error("a poll that is given up is answered")
	}
	select {
	case <-poll.gone:
	case <-time.After(patience):
		t.Error("the node still has the poll")
	}
	if status, _ := ask(t, c, newRequest(t, "GET", base+"/page", "")); status != 200 {
		t.Errorf("got %d", status)
	}
}

// Uploads and downloads pass as they come, and a client that reads slowly keeps nobody else waiting.
func TestHTTP2Streams(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 1<<18) // 4 MiB
	node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if b, err := io.ReadAll(r.Body); err == nil {
			c.send(answer(200, string(b)))
		}
	})
	s := startGateway(t, withNodes(node), withHTTP2)
	c, base := secondClient(t), "https://"+s.addr
	slow, err := c.Do(newRequest(t, "POST", base+"/upload", long))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Body.Close()
	if status, body := ask(t, c, newRequest(t, "POST", base+"/upload", "short")); status != 200 || body != "short" {
		t.Errorf("got %d %q", status, body)
	}
	if b, err := io.ReadAll(slow.Body); err != nil || string(b) != long {
		t.Errorf("%d bytes of %d, %v", len(b), len(long), err)
	}
}

// An answer that breaks off is no whole one.
func TestHTTP2AnswerThatIsCut(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) {
		c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
		c.cut()
	})
	s := startGateway(t, withNodes(node), withHTTP2)
	a, err := secondClient(t).Do(newRequest(t, "GET", "https://"+s.addr+"/page", ""))
	if err == nil {
		var b []byte
		b, err = io.ReadAll(a.Body)
		a.Body.Close()
		if err == nil {
			t.Errorf("got %q", b)
		}
	}
}

// Who does not offer HTTP/2 gets HTTP/1.1 from the same port, for WebSockets too, and what is no HTTP/2 after all is ended.
func TestHTTP2IsAChoice(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(node), withHTTP2)
	first := secureClient(t, s.addr, &tls.Config{RootCAs: clientTLS.RootCAs, NextProtos: []string{"http/1.1"}})
	io.WriteString(first, get(handshakeTarget, "Connection: close"))
	if b, err := io.ReadAll(first); err != nil || !bytes.Contains(b, []byte(aSID)) {
		t.Errorf("%q %v", b, err)
	}
	second := secureClient(t, s.addr, &tls.Config{RootCAs: clientTLS.RootCAs, NextProtos: []string{"h2"}})
	io.WriteString(second, get(handshakeTarget))
	if b, err := io.ReadAll(second); err != nil || bytes.Contains(b, []byte(aSID)) {
		t.Errorf("HTTP/1.1 where HTTP/2 was agreed on: %q %v", b, err)
	}
}

// A replica that stops answers what it was asked, and then the connection ends.
func TestHTTP2EndsWithTheReplica(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}), make(chan struct{})
	node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		close(asked)
		<-release
		plainly(c, r)
	})
	s := startGateway(t, withNodes(node), withHTTP2)
	c := secondClient(t)
	answered := make(chan int, 1)
	go func() {
		a, err := c.Do(newRequest(t, "GET", "https://"+s.addr+"/page", ""))
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		a.Body.Close()
		answered <- a.StatusCode
	}()
	<-asked
	s.Stop()
	now, cancel := context.WithCancel(t.Context())
	cancel()
	s.tunnels.Shutdown(now, 1, 0) // which WebSockets end in
	close(release)
	if status := <-answered; status != 200 {
		t.Errorf("got %d", status)
	}
	eventually(t, "the connection has ended", func() bool { return s.metric("sidway_connections") == 0 })
}

// What HTTP/2 takes beside a client's connection counts among the descriptors, and is given back.
func TestHTTP2CountsItsDescriptors(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(node), withHTTP2)
	c := secondClient(t)
	if status, _ := ask(t, c, newRequest(t, "GET", "https://"+s.addr+"/page", "")); status != 200 {
		t.Fatalf("got %d", status)
	}
	if n := gateway.Descriptors(s.Gateway); n < 5 { // the client's, two pairs
		t.Errorf("%d are counted", n)
	}
	c.CloseIdleConnections()
	s.Close()
	if n := gateway.Descriptors(s.Gateway); n != 0 {
		t.Errorf("%d are still counted", n)
	}
}

// A request that names no host is refused as that of HTTP/1.1 is.
func TestHTTP2WithoutAHost(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(node), withHTTP2)
	conn := secureClient(t, s.addr, &tls.Config{RootCAs: clientTLS.RootCAs, NextProtos: []string{"h2"}})
	var head bytes.Buffer
	for _, f := range []string{"\x82", "\x87", "\x84", "\x01\x00"} { // GET, https, /, and an :authority of no byte
		head.WriteString(f)
	}
	io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+"\x00\x00\x00\x04\x00\x00\x00\x00\x00"+
		"\x00\x00"+string(rune(head.Len()))+"\x01\x05\x00\x00\x00\x01"+head.String())
	conn.SetReadDeadline(time.Now().Add(patience))
	b, got := make([]byte, 64<<10), ""
	for !strings.Contains(got, "no host") {
		n, err := conn.Read(b)
		if got += string(b[:n]); err != nil {
			t.Fatalf("%q %v", got, err)
		}
	}
	if node.received() != "" {
		t.Errorf("the node was asked %q", node.received())
	}
}

// A node that is told of clients by the PROXY protocol hears of one with HTTP/2 as of any other.
func TestHTTP2HeaderToNodes(t *testing.T) {
	t.Parallel()
	n := startProxiedNode(t, encrypted)
	s := startGateway(t, introducing(n, 2), withHTTP2)
	var own atomic.Pointer[string]
	c := secondClient(t)
	c.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err == nil {
			from := conn.LocalAddr().String()
			own.Store(&from)
		}
		return conn, err
	}
	if status, body := ask(t, c, newRequest(t, "GET", "https://"+s.addr+"/", "")); status != 200 || body != *own.Load() {
		t.Errorf("got %d, and the node sees %s in place of %s", status, body, *own.Load())
	}
}
