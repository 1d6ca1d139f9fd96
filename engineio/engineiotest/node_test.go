package engineiotest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/engineio/engineiotest"
)

// TestReferenceClients needs node and, in the repository's root, npm ci.
func TestReferenceClients(t *testing.T) {
	for name, o := range map[string]engineiotest.Options{
		"usual":        {},
		"old":          {Bytes: true},
		"quick pings":  {PingInterval: 20 * time.Millisecond, PingTimeout: 10 * time.Second},
		"with a short": {KeepAlive: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			n := engineiotest.Start(t, o)
			out, err := exec.CommandContext(t.Context(), "node", "testdata/clients.cjs", n.URL()).CombinedOutput()
			if err != nil || strings.Count(string(out), "\n") != 6 {
				t.Fatalf("the reference clients (Node.js and npm ci): %v\n%s", err, out)
			}
			n.WaitUntil("every session has ended", func() bool { return len(n.Sessions()) == 0 })
		})
	}
}

// fetch sends one request, a method and a query, on a connection of its own.
func fetch(ctx context.Context, n *engineiotest.Node, request, body string) (status int, answer string, err error) {
	method, query, _ := strings.Cut(request, " ")
	req, err := http.NewRequestWithContext(ctx, method, n.URL()+"/socket.io/?"+query, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Close = true
	req.Header.Set("Origin", "http://page.example")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	return res.StatusCode, string(got), err
}

// handshake makes a session and returns its query and sid.
func handshake(t *testing.T, n *engineiotest.Node, query string) (string, string) {
	t.Helper()
	q, err := engineio.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	_, answer, err := fetch(t.Context(), n, "GET "+query, "")
	if err != nil {
		t.Fatal(err)
	}
	o, err := engineio.FindOpen(q, []byte(answer))
	if err != nil {
		t.Fatalf("%q: %v", answer, err)
	}
	return query + "&sid=" + o.SID, o.SID
}

// poll sends a poll and returns what waits for its answer, once the node has it.
func poll(ctx context.Context, t *testing.T, n *engineiotest.Node, query string) func() string {
	t.Helper()
	sid := query[strings.Index(query, "sid=")+len("sid="):]
	answered := make(chan string, 1)
	go func() {
		status, answer, err := fetch(ctx, n, "GET "+query, "")
		answered <- fmt.Sprint(status, " ", answer, " ", err)
	}()
	n.WaitUntil("the poll waits", func() bool { return n.Polling(sid) })
	return func() string { return <-answered }
}

func TestFramingsOnRequest(t *testing.T) {
	for _, c := range []struct {
		o      engineiotest.Options
		query  string
		prefix string
	}{
		{engineiotest.Options{}, "EIO=4&transport=polling", `0{"sid":"abc"`},
		{engineiotest.Options{Greeting: "0"}, "EIO=3&transport=polling", `101:0{"sid":"abc"`},
		{engineiotest.Options{Bytes: true}, "transport=polling", "\x00\x01\x00\x01\xff0{\"sid\":\"abc\""},
		{engineiotest.Options{Bytes: true}, "transport=polling&b64=1", `101:0{"sid":"abc"`},
		{engineiotest.Options{}, "EIO=4&transport=polling&j=3", `___eio[3]("0{\"sid\":\"abc\"`},
		{engineiotest.Options{}, "EIO=3&transport=polling&j=3", `___eio[3]("101:0{\"sid\":\"abc\"`},
	} {
		c.o.SID = func() string { return "abc" }
		n := engineiotest.Start(t, c.o)
		if _, answer, err := fetch(t.Context(), n, "GET "+c.query, ""); err != nil || !strings.HasPrefix(answer, c.prefix) {
			t.Errorf("%s: %q, %v", c.query, answer, err)
		}
	}
}

func TestJSONP(t *testing.T) {
	n := engineiotest.Start(t, engineiotest.Options{})
	query, _ := handshake(t, n, "EIO=3&transport=polling&j=0")
	wait := poll(t.Context(), t, n, query)
	if _, answer, _ := fetch(t.Context(), n, "POST "+query, "d=5%3A4a%5Cnb%5C%5Cn"); answer == "ok" {
		t.Errorf("a length that is wrong is %q", answer)
	}
	if got, want := wait(), `200 ___eio[0]("1:1"); <nil>`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	query, sid := handshake(t, n, "EIO=3&transport=polling&j=0")
	wait = poll(t.Context(), t, n, query)
	if _, answer, _ := fetch(t.Context(), n, "POST "+query, "d=6%3A4a%5Cnb%5C%5Cn"); answer != "ok" {
		t.Errorf("%q", answer)
	}
	if got, want := wait(), `200 ___eio[0]("6:4a\nb\\n"); <nil>`; got != want || n.Messages(sid)[0] != "a\nb\\n" {
		t.Errorf("%q, want %q; %q", got, want, n.Messages(sid))
	}
}

func TestSessionsAreFragile(t *testing.T) {
	n := engineiotest.Start(t, engineiotest.Options{})

	query, sid := handshake(t, n, "EIO=4&transport=polling")
	wait := poll(t.Context(), t, n, query)
	if status, _, err := fetch(t.Context(), n, "GET "+query, ""); status != 400 || err != nil {
		t.Errorf("a second poll: %d, %v", status, err)
	}
	if got := wait(); got != "200 1 <nil>" || n.Ended(sid) != engineiotest.PollOverlap {
		t.Errorf("the first poll: %q, %q", got, n.Ended(sid))
	}

	query, sid = handshake(t, n, "EIO=4&transport=polling")
	ctx, cancel := context.WithCancel(t.Context())
	wait = poll(ctx, t, n, query)
	cancel()
	n.WaitUntil("the abort is seen", func() bool { return n.Ended(sid) == engineiotest.PollAborted })
	wait()

	query, sid = handshake(t, n, "EIO=4&transport=polling")
	wait = poll(t.Context(), t, n, query)
	if _, answer, _ := fetch(t.Context(), n, "POST "+query, "4hello\x1e1"); answer != "ok" {
		t.Errorf("%q", answer)
	}
	if got := wait(); n.Ended(sid) != engineiotest.ClientClosed || got != "200 6 <nil>" && got != "200 4hello <nil>" {
		t.Errorf("%q, %q", got, n.Ended(sid))
	}
	if status, answer, _ := fetch(t.Context(), n, "GET "+query, ""); !engineio.IsUnknownSID(status, []byte(answer)) {
		t.Errorf("%d %q", status, answer)
	}
}

func TestEnd(t *testing.T) {
	n := engineiotest.Start(t, engineiotest.Options{})
	query, sid := handshake(t, n, "EIO=3&transport=polling")
	wait := poll(t.Context(), t, n, query)
	n.End(sid)
	if got := wait(); got != "200 1:1 <nil>" || n.Ended(sid) != engineiotest.NodeClosed {
		t.Errorf("%q, %q", got, n.Ended(sid))
	}
	query, sid = handshake(t, n, "EIO=4&transport=polling")
	if !n.Send(sid, "bye") {
		t.Error("the session is not there")
	}
	n.End(sid)
	if _, answer, _ := fetch(t.Context(), n, "GET "+query, ""); answer != "4bye\x1e1" {
		t.Errorf("%q", answer)
	}
}

func TestPingTimeouts(t *testing.T) {
	n := engineiotest.Start(t, engineiotest.Options{PingInterval: 5 * time.Millisecond, PingTimeout: 5 * time.Millisecond})
	for _, query := range []string{"EIO=4&transport=polling", "EIO=3&transport=polling"} {
		_, sid := handshake(t, n, query)
		n.WaitUntil("the ping timeout", func() bool { return n.Ended(sid) == engineiotest.PingTimeout })
	}
}

func TestRefusals(t *testing.T) {
	n := engineiotest.Start(t, engineiotest.Options{NoEIO3: true, MaxPayload: 10, StrictPreflight: true})
	query, _ := handshake(t, n, "EIO=4&transport=polling")
	for _, c := range []struct {
		method, query, body string
		status              int
		answer              string
	}{
		{"GET", "EIO=3&transport=polling", "", 400, `{"code":5,"message":"Unsupported protocol version"}`},
		{"GET", "EIO=4&transport=x", "", 400, `{"code":0,"message":"Transport unknown"}`},
		{"POST", "EIO=4&transport=polling", "40", 400, `{"code":2,"message":"Bad handshake method"}`},
		{"GET", "EIO=4&transport=polling&sid=x", "", 400, `{"code":1,"message":"Session ID unknown"}`},
		{"GET", "EIO=4&transport=websocket", "", 400, `{"code":3,"message":"Bad request"}`},
		{"POST", query, "40123456789", 413, ""},
		{"OPTIONS", query, "", 204, ""},
		{"OPTIONS", "EIO=4&transport=polling&sid=x", "", 400, `{"code":1,"message":"Session ID unknown"}`},
	} {
		status, answer, err := fetch(t.Context(), n, c.method+" "+c.query, c.body)
		if status != c.status || answer != c.answer || err != nil {
			t.Errorf("%s %s: %d %q, %v", c.method, c.query, status, answer, err)
		}
	}
	got := n.Requests()
	if last := got[len(got)-1]; len(got) != 9 || last.Method != "OPTIONS" || last.Header.Get("Origin") != "http://page.example" {
		t.Errorf("%d requests, the last %+v", len(got), last)
	}
	if string(got[3].Body) != "40" || got[3].Target != "/socket.io/?EIO=4&transport=polling" {
		t.Errorf("%+v", got[3])
	}
}

func TestHoldAndScript(t *testing.T) {
	n := engineiotest.Start(t, engineiotest.Options{})
	release := n.Hold()
	n.Script(func(w http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "scripted %s", body)
		return r.Method == http.MethodPost
	})
	answered := make(chan string)
	go func() {
		_, answer, _ := fetch(t.Context(), n, "POST x", "body")
		answered <- answer
	}()
	n.WaitUntil("the request is there", func() bool { return len(n.Requests()) == 1 })
	select {
	case answer := <-answered:
		t.Errorf("%q was not held", answer)
	default:
	}
	release()
	if answer := <-answered; answer != "scripted body" {
		t.Errorf("%q", answer)
	}
	release()
}

func TestDownAndUp(t *testing.T) {
	n := engineiotest.Start(t, engineiotest.Options{})
	query, sid := handshake(t, n, "EIO=4&transport=polling")
	conn, _, err := websocket.Dial(t.Context(), n.URL()+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if _, open, err := conn.Read(t.Context()); err != nil || !bytes.HasPrefix(open, []byte("0{")) {
		t.Fatalf("%q, %v", open, err)
	}
	wait := poll(t.Context(), t, n, query)
	if n.Connections() < 2 {
		t.Errorf("%d connections", n.Connections())
	}
	n.Down()
	if got := wait(); !strings.HasPrefix(got, "0 ") || n.Ended(sid) != engineiotest.NodeDown {
		t.Errorf("%q, %q", got, n.Ended(sid))
	}
	if _, _, err := conn.Read(t.Context()); err == nil {
		t.Error("the WebSocket lives on")
	}
	if _, _, err := fetch(t.Context(), n, "GET "+query, ""); err == nil {
		t.Error("a node that is down answers")
	}
	n.Up()
	if status, answer, err := fetch(t.Context(), n, "GET "+query, ""); !engineio.IsUnknownSID(status, []byte(answer)) {
		t.Errorf("%d %q, %v", status, answer, err)
	}
}

func TestUpgradeReleasesThePoll(t *testing.T) {
	n := engineiotest.Start(t, engineiotest.Options{})
	query, sid := handshake(t, n, "EIO=4&transport=polling")
	wait := poll(t.Context(), t, n, query)
	conn, _, err := websocket.Dial(t.Context(), n.URL()+"/socket.io/?EIO=4&transport=websocket&sid="+sid, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	say := func(text string) {
		t.Helper()
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(want string) {
		t.Helper()
		if _, got, err := conn.Read(t.Context()); err != nil || string(got) != want {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	}
	say(engineio.ProbePing)
	hear(engineio.ProbePong)
	if got := wait(); got != "200 6 <nil>" {
		t.Errorf("%q", got)
	}
	say(engineio.PacketUpgrade)
	n.WaitUntil("the session has moved", func() bool { return n.Upgraded(sid) })
	say("4hello")
	hear("4hello")
	if status, _, _ := fetch(t.Context(), n, "GET "+query, ""); status != 400 {
		t.Errorf("a poll of an upgraded session: %d", status)
	}
	n.End(sid)
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Error(err)
	}
}
