package engineio_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/engineio"
)

// nodeKinds are the servers that are asked: what they do not serve is refused.
var nodeKinds = []struct {
	name     string
	versions []int
}{
	{"4.8", []int{4}},
	{"4.8 with EIO 3", []int{4, 3}},
	{"2.5", []int{3}},
}

// exchange sends one request, a method and a query, to a node and returns the answer and its body.
func exchange(t *testing.T, port int, request, body string) (*http.Response, []byte) {
	t.Helper()
	method, query, _ := strings.Cut(request, " ")
	url := fmt.Sprintf("http://127.0.0.1:%d/socket.io/?%s", port, query)
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "http://page.example")
	req.Header.Set("Accept-Encoding", "identity")
	req.Close = true
	if strings.HasPrefix(body, "d=") {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else if body != "" {
		req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	if strings.Contains(query, "transport=websocket") {
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "websocket")
		req.Header.Set("Sec-WebSocket-Version", "13")
		req.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, got
}

// TestNodesReadTheSameQuery asks both generations of Node's engine.io what they read in queries that are accepted.
func TestNodesReadTheSameQuery(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	parts := strings.Split("EIO=4 EIO=3 transport=polling transport=websocket sid=a sid=b SID=c j=7 b64=1 sid j= %73id=d s%69d=e %2573id=f "+
		"a%20b=1 a%=2 x;sid=g x#y \t \\ / ? : @ [ ] { } | ^ ` \" < > + = % %zz %00 %23 %26sid=h %3Bsid=i \xff \u00e4 sid[]=k sid[0]=l +sid=m .sid=n", " ")
	var raws [][]byte
	var accepted []engineio.Query
	for range 20_000 {
		raw := []string{"EIO=4", "transport=polling", "sid=" + sid}
		for range random.IntN(4) {
			i := random.IntN(len(raw))
			part := parts[random.IntN(len(parts))]
			if random.IntN(2) == 0 {
				raw = append(raw, part)
			} else {
				raw[i] += part
			}
		}
		random.Shuffle(len(raw), func(i, j int) { raw[i], raw[j] = raw[j], raw[i] })
		text := strings.Join(raw, "&")
		if q, err := engineio.ParseQuery(text); err == nil {
			raws, accepted = append(raws, []byte(text)), append(accepted, q)
		}
	}
	if len(raws) < 1_000 {
		t.Fatalf("only %d queries were accepted", len(raws))
	}
	type reading struct{ EIO, Transport, SID, J string }
	var readings [][]reading
	startReference(t).ask(map[string]any{"cmd": "query", "cases": raws}, &readings)
	for i, q := range accepted {
		for _, r := range readings[i] {
			if r.SID != q.SID || r.Transport != q.Transport.String() || r.J != q.JSONP || (r.EIO == "4") != (q.Version == 4) {
				t.Errorf("%q: %+v here, %+v in Node", raws[i], q, r)
			}
		}
	}
}

// TestNoSIDIsAnObjectsOwnName asks Node for the names under which nodes that look sids up in an object find no session.
func TestNoSIDIsAnObjectsOwnName(t *testing.T) {
	var names []string
	startReference(t).ask(map[string]any{"cmd": "inherited"}, &names)
	if len(names) < 10 {
		t.Fatalf("only %q", names)
	}
	for _, name := range names {
		if _, err := engineio.ParseQuery("EIO=4&transport=polling&sid=" + name); err != engineio.ErrSIDUnknown {
			t.Errorf("in a query: %s: %v", name, err)
		}
		if o, err := engineio.FindOpen(v4, []byte(`0{"sid":"`+name+`"}`)); err != engineio.ErrOpenSID {
			t.Errorf("in an open packet: %s: %+v, %v", name, o, err)
		}
	}
}

// TestRefusalsAreNodes holds the gateway's refusals against those of real nodes, to the byte.
func TestRefusalsAreNodes(t *testing.T) {
	r := startReference(t)
	for _, kind := range nodeKinds {
		port := r.serve(kind.name)
		for _, c := range []struct {
			method, query string
			kind          engineio.Kind
			cause         engineio.Cause
		}{
			{"GET", "transport=foo", engineio.PollGET, engineio.TransportUnknown},
			{"GET", "transport=polling&sid=nobody", engineio.PollGET, engineio.SIDUnknown},
			{"POST", "transport=polling&sid=nobody", engineio.PollPOST, engineio.SIDUnknown},
			{"GET", "transport=polling&sid=nobody&j=7", engineio.PollGET, engineio.SIDUnknown},
			{"POST", "transport=polling", engineio.PollPOST, engineio.BadMethod},
			{"GET", "transport=websocket&sid=nobody", engineio.WebSocketGET, engineio.SIDUnknown},
		} {
			for _, version := range kind.versions {
				query := fmt.Sprintf("EIO=%d&%s", version, c.query)
				res, body := exchange(t, port, c.method+" "+query, "")
				q, _ := engineio.ParseQuery(query)
				a := engineio.AnswerFor(c.kind, q, c.cause)
				if res.StatusCode != a.Status || string(body) != a.Body || res.Header.Get("Content-Type") != a.ContentType {
					t.Errorf("%s: %s %s: %d %q, here %+v", kind.name, c.method, query, res.StatusCode, body, a)
				}
				if got := engineio.IsUnknownSID(res.StatusCode, body); got != (c.cause == engineio.SIDUnknown) {
					t.Errorf("%s: %s %s: unknown sid %v", kind.name, c.method, query, got)
				}
			}
		}
	}
	res, body := exchange(t, r.serve("4.8"), "GET EIO=3&transport=polling", "")
	if a := engineio.AnswerFor(engineio.PollGET, v3, engineio.UnsupportedVersion); res.StatusCode != a.Status || string(body) != a.Body {
		t.Errorf("%d %q, here %+v", res.StatusCode, body, a)
	}
}

// TestSessionsOfNodes reads the open packets of real nodes and holds close and noop against theirs.
func TestSessionsOfNodes(t *testing.T) {
	r := startReference(t)
	for _, kind := range nodeKinds {
		port := r.serve(kind.name)
		for _, version := range kind.versions {
			for _, suffix := range []string{"", "&b64=1", "&j=7"} {
				query := fmt.Sprintf("EIO=%d&transport=polling%s", version, suffix)
				q, err := engineio.ParseQuery(query)
				if err != nil {
					t.Fatal(err)
				}
				t.Run(kind.name+" "+query, func(t *testing.T) {
					s := nodeSession{r, q, port, query}
					s.endedByNode(t)
					s.endedByClient(t)
				})
			}
		}
	}
}

// nodeSession is how sessions with one node are made.
type nodeSession struct {
	r     *reference
	q     engineio.Query
	port  int
	query string
}

// open makes a session and takes what the node has to say at first.
func (s nodeSession) open(t *testing.T) (query, sid string) {
	t.Helper()
	_, body := exchange(t, s.port, "GET "+s.query, "")
	o, err := engineio.FindOpen(s.q, body)
	if err != nil || len(o.SID) != 20 || o.PingInterval != 25*time.Second || o.PingTimeout != 20*time.Second {
		t.Fatalf("%q: %+v, %v", body, o, err)
	}
	if has := bytes.Contains(body, []byte("maxPayload")); has != (o.MaxPayload == 1_000_000) {
		t.Errorf("%q: %+v", body, o)
	}
	if hasClose(s.q, body, node) {
		t.Errorf("%q has no close packet", body)
	}
	query = s.query + "&sid=" + o.SID
	if s.q.Version == 3 && !bytes.Contains(body, []byte("2:40")) {
		// Socket.IO 4 greets a client of revision 3 in the next payload.
		exchange(t, s.port, "GET "+query, "")
	}
	return query, o.SID
}

func (s nodeSession) endedByNode(t *testing.T) {
	query, sid := s.open(t)
	s.r.end(s.port, sid)
	_, body := exchange(t, s.port, "GET "+query, "")
	if !hasClose(s.q, body, node) {
		t.Errorf("no close packet in %q", body)
	}
	if s.q.Version == 4 && s.q.JSONP == "" && string(body) != "6\x1e1" {
		t.Errorf("%q", body)
	}
	// A node that closes a session which waits in a poll sends the close packet alone.
	query, sid = s.open(t)
	poll := s.pendingPoll(t, query)
	s.r.end(s.port, sid)
	if got, want := poll(), string(engineio.AppendClose(nil, s.q)); got != want {
		t.Errorf("a node's close is %q, ours %q", got, want)
	}
}

func (s nodeSession) endedByClient(t *testing.T) {
	query, _ := s.open(t)
	poll := s.pendingPoll(t, query)
	body := encodePackets([]string{"1"}, s.q.Version, false)
	if s.q.JSONP != "" {
		body = string(wrapForJSONP(s.q, []byte(body), client))
	}
	if !hasClose(s.q, []byte(body), client) {
		t.Errorf("no close packet in %q", body)
	}
	exchange(t, s.port, "POST "+query, body)
	if got, want := poll(), string(engineio.AppendNoop(nil, s.q)); got != want {
		t.Errorf("a node's noop is %q, ours %q", got, want)
	}
	if res, body := exchange(t, s.port, "GET "+query, ""); !engineio.IsUnknownSID(res.StatusCode, body) {
		t.Errorf("the session lives on: %d %q", res.StatusCode, body)
	}
}

// pendingPoll sends a poll and returns, once the node has it, what waits for its answer.
func (s nodeSession) pendingPoll(t *testing.T, query string) func() string {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /socket.io/?%s HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n", query)
	s.r.waitForPoll(s.port, query[strings.Index(query, "sid=")+len("sid="):])
	return func() string {
		t.Helper()
		defer conn.Close()
		answer, err := io.ReadAll(conn)
		_, body, found := strings.Cut(string(answer), "\r\n\r\n")
		if err != nil || !found {
			t.Fatalf("%q: %v", answer, err)
		}
		return body
	}
}

// TestFramesOfNodes reads the open packet of real nodes' WebSockets.
func TestFramesOfNodes(t *testing.T) {
	r := startReference(t)
	for _, kind := range nodeKinds {
		for version := 3; version <= 4; version++ {
			served := version == 3 && kind.name != "4.8" || version == 4 && kind.name != "2.5"
			if version == 4 && kind.name == "2.5" {
				continue // it takes every client for one of revision 3
			}
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.serve(kind.name)))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "GET /socket.io/?EIO=%d&transport=websocket HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\n"+
				"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", version)
			var got []byte
			var o engineio.Open
			for err = engineio.ErrShort; err == engineio.ErrShort; {
				buf := make([]byte, 7)
				n, readErr := conn.Read(buf)
				if readErr != nil {
					t.Fatalf("%s, EIO %d: %q: %v", kind.name, version, got, readErr)
				}
				got = append(got, buf[:n]...)
				if _, frames, found := bytes.Cut(got, []byte("\r\n\r\n")); found {
					o, err = engineio.FindOpenFrame(frames)
				}
			}
			if served != (err == nil) || served && (len(o.SID) != 20 || o.PingInterval != 25*time.Second) {
				t.Errorf("%s, EIO %d: %q: %+v, %v", kind.name, version, got, o, err)
			}
			conn.Close()
		}
	}
}

// TestFindOpenReadsNodesEncoders reads open packets as Node's encoders frame them, those of old servers too.
func TestFindOpenReadsNodesEncoders(t *testing.T) {
	index := "7"
	open := packet{Type: "open", Data: openJSON}
	cases := []payload{
		{Version: 4, Packets: []packet{open}},
		{Version: 4, Packets: []packet{open, {Type: "message", Data: "0"}}},
		{Version: 3, Packets: []packet{open, {Type: "message", Data: "0"}}},
		{Version: 3, Binary: true, Packets: []packet{open, {Type: "message", Bytes: []byte{1, 2, 3}}}},
		{Version: 4, JSONP: &index, Packets: []packet{open}},
		{Version: 3, JSONP: &index, Packets: []packet{open, {Type: "message", Data: "\"\\\u2028\U0001f600"}}},
	}
	for i, body := range startReference(t).encode(cases) {
		q := engineio.Query{Version: cases[i].Version}
		if cases[i].JSONP != nil {
			q.JSONP = index
		}
		if o, err := engineio.FindOpen(q, body); err != nil || o != opened {
			t.Errorf("%q: %+v, %v", body, o, err)
		}
	}
}

// TestHasCloseReadsNodesEncoders looks for the close packet among others in what Node's encoders make of them.
func TestHasCloseReadsNodesEncoders(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	texts := []string{"", "hello", "1:1", "\u00e4\u20ac\u2028\u2029", "\U0001f600", "\"\\\n\r\t\x00\x1f", "<&>"}
	var cases []payload
	var queries []engineio.Query
	var want []bool
	for i := range 2_000 {
		q := forms[i%len(forms)]
		c := payload{Version: q.Version, Binary: q == v3 && i%3 == 0}
		if q.JSONP != "" {
			c.JSONP = &q.JSONP
		}
		closes := false
		for range 1 + random.IntN(4) {
			switch n := random.IntN(6); {
			case n == 0:
				c.Packets = append(c.Packets, packet{Type: "close"})
				closes = true
			case n == 1:
				c.Packets = append(c.Packets, packet{Type: "message", Bytes: []byte("1:1\x1e1")})
			default:
				c.Packets = append(c.Packets, packet{Type: "message", Data: texts[random.IntN(len(texts))]})
			}
		}
		cases, queries, want = append(cases, c), append(queries, q), append(want, closes)
	}
	for i, body := range startReference(t).encode(cases) {
		if got := hasClose(queries[i], body, node); got != want[i] {
			packets, _ := json.Marshal(cases[i].Packets)
			t.Errorf("HasClose(%+v, %q) = %v of %s", queries[i], body, got, packets)
		}
	}
}
