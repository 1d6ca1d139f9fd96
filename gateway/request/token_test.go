package request_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
)

// aToken is what a JWT looks like.
const aToken = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl"

// rule is an Auth that looks for tokens in these places.
func rule(t testing.TB, places ...string) *request.Auth {
	t.Helper()
	a := &request.Auth{Strip: true, Fields: []string{"X-User"}}
	for _, text := range places {
		p, err := request.ParseTokenPlace(text)
		if err != nil {
			t.Fatal(err)
		}
		a.From = append(a.From, p)
	}
	return a
}

// asked is a request that has been read and decoded, with a route that has a.
func asked(t testing.TB, a *request.Auth, target string, lines ...string) *request.Request {
	t.Helper()
	x := &request.Request{}
	x.Reset(&request.Client{IP: "192.0.2.1", ForwardedFor: "for=192.0.2.1"})
	head := "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n"
	if err := x.Req.Parse([]byte(head)); err != nil {
		t.Fatal(err)
	}
	if answer, ok := x.Decode(request.Routes{{Path: "/socket.io/", Auth: a}}); !ok {
		t.Fatal(answer)
	}
	return x
}

var socket = []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}

func TestTokensAreFoundWhereTheyMayBe(t *testing.T) {
	const polls, sockets = "/socket.io/?EIO=4&transport=polling", "/socket.io/?EIO=4&transport=websocket"
	for _, c := range []struct {
		places, target string
		lines          []string
		want           string
	}{
		{"header:Authorization", polls, []string{"Authorization: Bearer " + aToken}, aToken},
		{"header:Authorization", polls, []string{"authorization: bearer   " + aToken}, aToken},
		{"header:Authorization", polls, []string{"Authorization: Basic " + aToken}, ""},
		{"header:Authorization", polls, []string{"Authorization: " + aToken}, ""},
		{"header:Authorization", polls, nil, ""},
		{"header:X-Token", polls, []string{"x-token: " + aToken}, aToken},
		{"header:X-Token", polls, []string{"x-token: Bearer " + aToken}, aToken},
		{"query:token", polls + "&token=" + aToken, nil, aToken},
		{"query:token", polls + "&tokens=" + aToken + "&token=", nil, ""},
		{"cookie:token", polls, []string{"Cookie: a=b; token=" + aToken + "; c=d"}, aToken},
		{"cookie:token", polls, []string{"Cookie: a=b", "Cookie: token=" + aToken}, aToken},
		{"protocol", sockets, append([]string{"Sec-WebSocket-Protocol: chat, " + aToken}, socket...), aToken},
		{"protocol", sockets, append([]string{"Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: " + aToken}, socket...), aToken},
		{"protocol", sockets, append([]string{"Sec-WebSocket-Protocol: chat"}, socket...), ""},
		{"query:token cookie:token", polls + "&token=first", []string{"Cookie: token=" + aToken}, "first"},
		{"query:token cookie:token", polls, []string{"Cookie: token=" + aToken}, aToken},
	} {
		x := asked(t, rule(t, strings.Fields(c.places)...), c.target, c.lines...)
		if got := x.Token(); got != c.want {
			t.Errorf("%s in %v: got %q, want %q", c.places, c.lines, got, c.want)
		}
		if n := testing.AllocsPerRun(100, func() { _ = x.Token() }); n != 0 {
			t.Errorf("%s: %v allocations", c.places, n)
		}
	}
	for _, bad := range []string{"", "client", "query:", "protocol:x", "header"} {
		if _, err := request.ParseTokenPlace(bad); err == nil {
			t.Errorf("%q is a place", bad)
		}
	}
}

func TestWhatNodesGetOfTokens(t *testing.T) {
	a := rule(t, "header:Authorization", "query:token", "query:t2", "cookie:token", "protocol")
	for _, c := range []struct {
		target, line string // what is sent
		to, field    string // what the node gets
	}{
		{"/socket.io/?token=" + aToken + "&EIO=4&transport=polling", "", "/socket.io/?EIO=4&transport=polling", ""},
		{"/socket.io/?EIO=4&transport=polling&token=x", "", "/socket.io/?EIO=4&transport=polling", ""},
		{"/socket.io/?EIO=4&token=x&transport=polling&&t2=y&a=b", "", "/socket.io/?EIO=4&transport=polling&&a=b", ""},
		{"/socket.io/?EIO=4&transport=polling&sid=abc&token=x", "", "/socket.io/?EIO=4&transport=polling&sid=abc", ""},
		{"/socket.io/?EIO=4&transport=polling&Token=x", "", "/socket.io/?EIO=4&transport=polling&Token=x", ""},
		{"/other?token=x", "", "/other?token=x", ""},
		{"/socket.io/?EIO=4&transport=polling", "Authorization: Bearer x", "/socket.io/?EIO=4&transport=polling", "Authorization: Bearer x"},
		{"/socket.io/?EIO=4&transport=polling", "Cookie: token=x", "/socket.io/?EIO=4&transport=polling", "Cookie: token=x"},
		{"/socket.io/?EIO=4&transport=polling", "x-user: root", "/socket.io/?EIO=4&transport=polling", ""},
		{"/other", "X-USER: root", "/other", ""},
		{"/socket.io/?EIO=4&transport=websocket", "Sec-WebSocket-Protocol: chat," + aToken + " , v2", "/socket.io/?EIO=4&transport=websocket", "Sec-WebSocket-Protocol: chat, v2"},
		{"/socket.io/?EIO=4&transport=websocket", "Sec-WebSocket-Protocol: " + aToken, "/socket.io/?EIO=4&transport=websocket", ""},
	} {
		lines := []string{c.line}
		if strings.Contains(c.target, "websocket") {
			lines = append(lines, socket...)
		}
		if c.line == "" {
			lines = lines[1:]
		}
		head := string(asked(t, a, c.target, lines...).AppendRequest(nil, "n:1"))
		if line, _, _ := strings.Cut(head, "\r\n"); line != "GET "+c.to+" HTTP/1.1" {
			t.Errorf("%s: got %s", c.target, line)
		}
		name, _, _ := strings.Cut(c.line, ":")
		got := ""
		for line := range strings.SplitSeq(head, "\r\n") {
			if name != "" && len(line) > len(name) && strings.EqualFold(line[:len(name)], name) {
				got += line
			}
		}
		if got != c.field {
			t.Errorf("%s: the node got %q, want %q", c.line, got, c.field)
		}
	}
}

// The gate judges what the node reads: all lines of a field, and none that the node does not get.
func TestTheGateIsToldWhatTheNodeGets(t *testing.T) {
	for _, c := range []struct {
		lines      []string
		name, want string
	}{
		{nil, "Cookie", ""},
		{[]string{"Cookie: a=b; c=d"}, "cookie", "a=b; c=d"},
		{[]string{"Cookie: a=b", "X-Tenant: mine", "cookie: c=d"}, "Cookie", "a=b; c=d"},
		{[]string{"X-Tenant: mine"}, "x-tenant", "mine"},
		{[]string{"X-Tenant: mine", "x-tenant: theirs"}, "X-Tenant", "mine, theirs"},
		{[]string{"X-Tenant:", "X-Tenant: theirs"}, "X-Tenant", ", theirs"},
		{[]string{"Connection: x-tenant", "X-Tenant: mine"}, "X-Tenant", ""},
		{[]string{"X_Tenant: mine"}, "X_Tenant", ""},
		{[]string{"X-Real-IP: 10.0.0.1"}, "X-Real-IP", ""},
		{[]string{"X-Forwarded-Prefix: /a"}, "X-Forwarded-Prefix", ""},
	} {
		x := asked(t, rule(t), "/socket.io/?EIO=4&transport=polling", c.lines...)
		if got := x.Ask().Header(c.name); got != c.want {
			t.Errorf("%q: %s is %q, want %q", c.lines, c.name, got, c.want)
		}
	}
	x := asked(t, rule(t), "/socket.io/?EIO=4&transport=polling", "X-Forwarded-Prefix: /a")
	x.Client.Trusted = true
	if got := x.Ask().Header("X-Forwarded-Prefix"); got != "/a" {
		t.Errorf("of a trusted proxy's word it is told %q", got)
	}
}

// A node that reads escapes must not find another token than the one that was judged.
func TestATokenInDisguiseIsRefused(t *testing.T) {
	for query, passes := range map[string]bool{
		"token=good":                true,
		"token=good&to%20ken=x":     true,
		"token=good&user%20name=x":  true,
		"tok%65n=x":                 false,
		"token=good&%74oken=forged": false,
		"%74%6f%6B%65%6e=forged":    false,
	} {
		x := &request.Request{}
		x.Reset(&request.Client{IP: "192.0.2.1"})
		if err := x.Req.Parse([]byte("GET /socket.io/?EIO=4&transport=polling&" + query + " HTTP/1.1\r\nHost: h\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		a := rule(t, "query:token")
		a.Strip = false
		if reply, ok := x.Decode(request.Routes{{Path: "/socket.io/", Auth: a}}); ok != passes || !ok && reply.Status != 400 {
			t.Errorf("%s: %v %+v", query, ok, reply)
		}
	}
}

func TestTheAgreedProtocolIsOneThatWasOffered(t *testing.T) {
	for _, c := range []struct{ places, offered, node, want string }{
		{"protocol", "chat, " + aToken + ", v2", "", "chat"},
		{"protocol", aToken + ", v2", "", "v2"},
		{"protocol", aToken, "", aToken},
		{"protocol", "chat, " + aToken, "chat", ""},
		{"protocol", "chat", "", ""}, // the node was told of all and wants none
		{"header:X-Token", "chat, " + aToken, "", ""},
		{"protocol", "chat\r\nSec-WebSocket-Protocol: " + aToken, "", "chat"},
		{"protocol", aToken + "\r\nSec-WebSocket-Protocol: chat", "", "chat"},
	} {
		x := asked(t, rule(t, c.places), "/socket.io/?EIO=4&transport=websocket", append([]string{"Sec-WebSocket-Protocol: " + c.offered}, socket...)...)
		head := "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
		if c.node != "" {
			head += "Sec-WebSocket-Protocol: " + c.node + "\r\n"
		}
		if err := x.Resp.Parse([]byte(head+"\r\n"), "GET"); err != nil {
			t.Fatal(err)
		}
		if got := x.AgreedProtocol(); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}

// FuzzToken holds that whatever a client writes where a token may be, the node gets a head that reads as one, with the gate's fields
// as the gate has them, and without a token in query or protocol.
func FuzzToken(f *testing.F) {
	f.Add("EIO=4&transport=websocket&token="+aToken, "Bearer "+aToken, "a=b; token="+aToken, "chat, "+aToken)
	f.Add("transport=websocket&&token=&token2=x&EIO=3", "bearer", ";;token", ",,eyJ..,")
	a := rule(f, "header:Authorization", "query:token", "cookie:token", "protocol")
	f.Fuzz(func(t *testing.T, query, header, cookie, protocol string) {
		x := &request.Request{}
		x.Reset(&request.Client{IP: "192.0.2.1", ForwardedFor: "for=192.0.2.1"})
		lines := append([]string{"Authorization: " + header, "Cookie: " + cookie, "Sec-WebSocket-Protocol: " + protocol, "X-User: " + header}, socket...)
		if x.Req.Parse([]byte("GET /socket.io/?"+query+" HTTP/1.1\r\nHost: h\r\n"+strings.Join(lines, "\r\n")+"\r\n\r\n")) != nil {
			return
		}
		if _, ok := x.Decode(request.Routes{{Path: "/socket.io/", Auth: a}}); !ok {
			return
		}
		_ = x.Token()
		x.Granted = auth.Verdict{Fields: []auth.Field{{Name: "X-User", Value: "me"}}}
		var q http1.Request
		if err := q.Parse(x.AppendRequest(nil, "n:1")); err != nil {
			t.Fatalf("the node cannot read it: %v", err)
		}
		users := 0
		for _, field := range q.Fields {
			if strings.EqualFold(field.Name, "X-User") {
				users++
			}
			if field.ID == http1.SecWebSocketProtocol && x.Kind.SocketIO() {
				for entry := range strings.SplitSeq(field.Value, ",") {
					if entry = strings.Trim(entry, " \t"); strings.HasPrefix(entry, "eyJ") && strings.Count(entry, ".") == 2 {
						t.Fatalf("a token is passed on: %q", field.Value)
					}
				}
			}
		}
		if users != 1 {
			t.Fatalf("%d fields name the user", users)
		}
		got, err := engineio.ParseQuery(q.RawQuery)
		read, _ := url.ParseQuery(q.RawQuery)
		if err != nil || got != x.Query || read.Has("token") {
			t.Fatalf("%q became %q: %+v %v", query, q.RawQuery, got, err)
		}
	})
}

func TestWhoMayBringATokenLater(t *testing.T) {
	const polls, sockets = "/socket.io/?EIO=4&transport=polling", "/socket.io/?EIO=4&transport=websocket"
	a := rule(t, "query:token", "header:Authorization")
	for _, connect := range []string{"", "token"} {
		a.Connect = connect
		for target, may := range map[string]bool{
			polls: true, polls + "&token=x": false, polls + "&sid=abc": false, polls + "&j=0": false, "/socket.io/?EIO=3&transport=polling": false, "/other": false,
		} {
			x := asked(t, a, target)
			x.Node = &cluster.Node{}
			if got := x.MayProve(); got != (may && connect != "") {
				t.Errorf("%s, %q: %v", target, connect, got)
			}
			if x.Unproven = x.MayProve(); x.Unproven == x.Judged() && x.Kind.MakesSession() || x.NewBinding(engineio.Open{SID: "abc"}).Unproven != x.Unproven {
				t.Errorf("%s: judged %v, unproven %v", target, x.Judged(), x.Unproven)
			}
		}
		x := asked(t, a, sockets, socket...)
		if x.MayProve() != (connect != "") || x.ReadsFrames() {
			t.Errorf("a WebSocket: %v %v", x.MayProve(), x.ReadsFrames())
		}
		if x.Unproven = x.MayProve(); x.ReadsFrames() != x.Unproven {
			t.Error("the frames of an unproven WebSocket are not read")
		}
	}
}
