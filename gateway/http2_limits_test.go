package gateway_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
)

const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// http2Frame is one of HTTP/2 (RFC 9113, 4.1).
func http2Frame(kind, flags byte, stream uint32, payload string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	return string(binary.BigEndian.AppendUint32(append(b, flags), stream)) + payload
}

// Kinds of frames, and what a client may say first.
const (
	headersFrame = 1
	resetFrame   = 3
	noSettings   = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	noWindow     = "\x00\x00\x06\x04\x00\x00\x00\x00\x00" + "\x00\x04\x00\x00\x00\x00"
)

// getFrame is a GET on a stream.
func getFrame(stream uint32, path string) string {
	head := "\x82\x87" // GET, https
	for _, f := range [][2]string{{":authority", "chat.example.com"}, {":path", path}} {
		head += "\x00" + string(rune(len(f[0]))) + f[0] + string(rune(len(f[1]))) + f[1]
	}
	return http2Frame(headersFrame, 5, stream, head)
}

// secondConn is a connection with HTTP/2 on which bytes have been sent.
func secondConn(t *testing.T, addr, bytes string) *tls.Conn {
	t.Helper()
	conn := secureClient(t, addr, &tls.Config{RootCAs: clientTLS.RootCAs, NextProtos: []string{"h2"}})
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, bytes)
	return conn
}

// awaitFrame reads until a frame of that kind comes on a stream.
func awaitFrame(t *testing.T, conn *tls.Conn, kind byte, stream uint32) {
	t.Helper()
	for {
		var head [9]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			t.Fatalf("no frame %d on stream %d: %v", kind, stream, err)
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head[:])>>8)); err != nil {
			t.Fatal(err)
		}
		if head[3] == kind && binary.BigEndian.Uint32(head[5:]) == stream {
			return
		}
	}
}

// A client with HTTP/2 that does not ask for anything in time is ended as one with HTTP/1.1 is, and leaves nothing behind.
func TestHTTP2ClientThatIsSilent(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", engine(aSID))
	for name, sent := range map[string]string{
		"nothing": "", "half a preface": http2Preface[:10], "a preface": http2Preface, "settings": http2Preface + noSettings,
		"half a request": http2Preface + noSettings + getFrame(1, "/page")[:20],
		"no HTTP/2":      "GET /page",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startGateway(t, withNodes(node), withHTTP2, withLimits(func(l *gateway.Limits) { l.HeaderTime = 2 * time.Second }))
			if _, err := io.ReadAll(secondConn(t, s.addr, sent)); err != nil {
				t.Error(err)
			}
			eventually(t, "nothing is left of it", func() bool { return gateway.Descriptors(s.Gateway) == 0 })
		})
	}
	t.Run("after a request", func(t *testing.T) {
		t.Parallel()
		s := startGateway(t, withNodes(node), withHTTP2, withLimits(func(l *gateway.Limits) { l.IdleTime = time.Second }))
		conn := secondConn(t, s.addr, http2Preface+noSettings+getFrame(1, "/page"))
		awaitFrame(t, conn, headersFrame, 1)
		if _, err := io.ReadAll(conn); err != nil {
			t.Error(err)
		}
		eventually(t, "nothing is left of it", func() bool { return s.metric("sidway_connections") == 0 })
	})
}

// At the limit of connections one with HTTP/2 that asks for nothing gives way, and one that has a request in hand does not.
func TestHTTP2ClientGivesWay(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	node := startNode(t, "n1", holdsPolls(release))
	s := startGateway(t, withNodes(node), withHTTP2, withLimits(func(l *gateway.Limits) { l.Connections = 3 }))
	busy := secondConn(t, s.addr, http2Preface+noSettings+getFrame(1, "/page?hold"))
	eventually(t, "the node is asked", func() bool { return s.metric("sidway_leases") == 1 })
	silent := secondConn(t, s.addr, http2Preface+noSettings)
	eventually(t, "all are there", func() bool { return s.metric("sidway_connections") == 3 })
	eventually(t, "a stranger is served", func() bool { return askFirst(t, s.addr, "/page") == 200 })
	if _, err := io.ReadAll(silent); err != nil {
		t.Error(err)
	}
	close(release)
	awaitFrame(t, busy, headersFrame, 1)
}

// askFirst asks by a connection with HTTP/1.1, and returns the status, 0 where none comes.
func askFirst(t *testing.T, addr, target string) int {
	t.Helper()
	c := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: clientTLS.Clone(), DisableKeepAlives: true}}
	a, err := c.Do(newRequest(t, "GET", "https://"+addr+target, ""))
	if err != nil {
		return 0
	}
	a.Body.Close()
	return a.StatusCode
}

// The requests that a client has in hand by HTTP/2 count among its connections.
func TestHTTP2ConnectionsOfOneClient(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	node := startNode(t, "n1", holdsPolls(release))
	s := startGateway(t, withNodes(node), withHTTP2, withLimits(func(l *gateway.Limits) { l.ClientConnections = 4 }))
	s.bind(aSID, node)
	first := secondConn(t, s.addr, http2Preface+noSettings+getFrame(1, "/page?hold")+getFrame(3, "/page?hold"))
	eventually(t, "the node is asked", func() bool { return s.metric("sidway_leases") == 2 })
	second, base := secondClient(t), "https://"+s.addr
	if status, _ := ask(t, second, newRequest(t, "GET", base+"/page", "")); status != 429 {
		t.Errorf("a stranger's request was answered %d", status)
	}
	if status, body := ask(t, second, newRequest(t, "GET", base+pollTarget(aSID), "")); status != 200 {
		t.Errorf("a live session was answered %d %q", status, body)
	}
	close(release)
	awaitFrame(t, first, headersFrame, 3)
	first.Close()
	second.CloseIdleConnections()
	eventually(t, "there is room again", func() bool {
		c := secondClient(t)
		defer c.CloseIdleConnections()
		status, _ := ask(t, c, newRequest(t, "GET", base+"/page", ""))
		return status == 200
	})
}

// A client is told that it may have half of its connections' number in requests at a time, so that a page that loads does not take all.
func TestHTTP2StreamsOfOneClient(t *testing.T) {
	t.Parallel()
	s := startGateway(t, withNodes(startNode(t, "n1", engine(aSID))), withHTTP2, withLimits(func(l *gateway.Limits) { l.ClientConnections = 20 }))
	conn := secondConn(t, s.addr, http2Preface+noSettings)
	settings := make([]byte, 100)
	n, err := io.ReadAtLeast(conn, settings, 27)
	if err != nil || !strings.Contains(string(settings[:n]), "\x00\x03\x00\x00\x00\x0a") {
		t.Errorf("got %q %v", settings[:n], err)
	}
}

// flood are requests of strangers that a node holds, by what becomes of them.
type flood struct{ served, refused atomic.Int64 }

// note counts one that ends: by a refusal that says when to come again, or since its connection has given way.
func (f *flood) note(a *http.Response, err error) {
	switch {
	case err == nil && a.StatusCode == 200:
		f.served.Add(1)
	case err != nil || a.StatusCode == 503 && a.Header.Get("Retry-After") != "":
		f.refused.Add(1)
	}
}

// second asks by HTTP/2, on one connection.
func (f *flood) second(t *testing.T, addr string, n int) {
	c := secondClient(t)
	for range n {
		go func() {
			a, err := c.Do(newRequest(t, "GET", "https://"+addr+"/page?hold", ""))
			if err == nil {
				defer a.Body.Close()
			}
			f.note(a, err)
		}()
	}
}

// first returns what asks by HTTP/1.1, on connections that have carried a request before.
func (f *flood) first(t *testing.T, addr string, n int) (ask func()) {
	var all []func()
	for range n {
		c := secureClient(t, addr, clientTLS)
		answers := bufio.NewReader(c)
		io.WriteString(c, get("/page"))
		a, err := http.ReadResponse(answers, nil)
		if err != nil || a.StatusCode != 200 {
			t.Fatal(a, err)
		}
		io.Copy(io.Discard, a.Body)
		all = append(all, func() {
			io.WriteString(c, get("/page?hold"))
			f.note(http.ReadResponse(answers, nil))
		})
	}
	return func() {
		for _, ask := range all {
			go ask()
		}
	}
}

// At the limit of descriptors strangers' requests are refused with when to come again, and live sessions go on, by old connections and
// new ones.
func TestHTTP2RoomForLiveSessions(t *testing.T) {
	t.Parallel()
	const descriptors, seconds, firsts = 320, 120, 20 // strangers with HTTP/2, of whom each takes three, and with HTTP/1.1
	release := make(chan struct{})
	node := startNode(t, "n1", holdsPolls(release))
	s := startGateway(t, withNodes(node), withHTTP2)
	s.bind(aSID, node)
	s.SetConnections(1000, descriptors)
	live, base := secondClient(t), "https://"+s.addr
	if status, _ := ask(t, live, newRequest(t, "GET", base+pollTarget(aSID), "")); status != 200 {
		t.Fatalf("got %d", status)
	}
	var f flood
	askFirsts := f.first(t, s.addr, firsts)
	inHand := func() int64 { return int64(s.metric("sidway_leases")) }
	f.second(t, s.addr, seconds/2)
	f.second(t, s.addr, seconds/2)
	eventually(t, "all are with the node or refused", func() bool { return f.refused.Load() > 0 && f.refused.Load()+inHand() == seconds })
	before := f.refused.Load()
	askFirsts()
	eventually(t, "those with HTTP/1.1 are too", func() bool {
		return f.refused.Load() > before && f.refused.Load()+inHand() == seconds+firsts
	})
	if n := gateway.Descriptors(s.Gateway); n > descriptors*15/16 {
		t.Errorf("strangers have left %d of %d descriptors", descriptors-n, descriptors)
	}
	for range 3 {
		for name, c := range map[string]*http.Client{"an old": live, "a new": secondClient(t)} {
			if status, body := ask(t, c, newRequest(t, "GET", base+pollTarget(aSID), "")); status != 200 {
				t.Errorf("by %s connection a live session was answered %d %q", name, status, body)
			}
		}
	}
	close(release)
	eventually(t, "there is room again", func() bool { return askFirst(t, s.addr, "/page") == 200 })
	eventually(t, "who was not refused is served", func() bool { return f.refused.Load()+f.served.Load() == seconds+firsts })
}

// A client that takes nothing of an answer has that stream reset, and its connection ends when there is no other.
func TestHTTP2ClientThatTakesNothing(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	held := holdsPolls(release)
	node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if strings.Contains(r.Head, "big") {
			c.send(answer(200, strings.Repeat("big ", 25_000)))
			return
		}
		held(c, r)
	})
	s := startGateway(t, withNodes(node), withHTTP2, withLimits(func(l *gateway.Limits) { l.WriteTime = short }))
	conn := secondConn(t, s.addr, http2Preface+noWindow+getFrame(1, "/page?hold")+getFrame(3, "/big")+getFrame(5, "/big"))
	awaitFrame(t, conn, resetFrame, 3)
	eventually(t, "one is in hand", func() bool { return s.metric("sidway_leases") == 1 })
	close(release)
	awaitFrame(t, conn, headersFrame, 1)
	if _, err := io.ReadAll(conn); err != nil {
		t.Error(err)
	}
	eventually(t, "nothing is left of it but what is idle", func() bool {
		return s.metric("sidway_connections") == 0 && gateway.Descriptors(s.Gateway) <= 3
	})
}
