package request_test

import (
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
)

// A session that has come from another node is asked for by its name there, in whatever place of the query it stands.
func TestSessionsAreAskedForByTheirAlias(t *testing.T) {
	for target, want := range map[string]string{
		"/socket.io/?EIO=4&transport=polling&sid=abc":     "GET /socket.io/?EIO=4&transport=polling&sid=there HTTP/1.1\r\n",
		"/socket.io/?sid=abc&EIO=4&transport=polling&t=1": "GET /socket.io/?sid=there&EIO=4&transport=polling&t=1 HTTP/1.1\r\n",
	} {
		x := asked(t, nil, target)
		x.Binding.Alias = "there"
		if got := string(x.AppendRequest(nil, "")); !strings.HasPrefix(got, want) {
			t.Errorf("%s is sent as %s", target, got)
		}
		x.Route.Auth = rule(t, "query:t")
		x.Req.RawQuery += "&t=" + aToken
		x.Req.Target += "&t=" + aToken
		if got := string(x.AppendRequest(nil, "")); strings.Contains(got, aToken) || !strings.Contains(got, "sid=there") {
			t.Errorf("without a token it is %s", got)
		}
	}
}

// What a move asks of nodes is what the poll's own client would.
func TestAppendPolled(t *testing.T) {
	x := asked(t, nil, "/socket.io/?EIO=4&transport=polling&sid=abc&room=1", "Cookie: a=b", "Accept-Encoding: gzip")
	x.Binding.Alias = "elsewhere"
	for _, c := range []struct {
		sid, body string
		method    string
		target    string
	}{
		{"", "", "GET", "/socket.io/?EIO=4&transport=polling&room=1"},
		{"there", "", "GET", "/socket.io/?EIO=4&transport=polling&room=1&sid=there"},
		{"there", "1", "POST", "/socket.io/?EIO=4&transport=polling&room=1&sid=there"},
	} {
		var body []byte
		if c.body != "" {
			body = []byte(c.body)
		}
		out := x.AppendPolled(nil, "10.0.0.1:80", c.sid, body)
		var scan http1.Scan
		n, err := scan.Request(out)
		var q http1.Request
		if err == nil {
			err = q.Parse(out[:n])
		}
		if err != nil || q.Method != c.method || q.Target != c.target || string(out[n:]) != c.body || q.Get(http1.AcceptEncoding) != "" || !strings.Contains(string(out), "Cookie: a=b\r\n") {
			t.Errorf("%v\n%s", err, out)
		}
		if c.body != "" && (q.ContentLength != int64(len(c.body)) || q.Chunked) {
			t.Errorf("length %d\n%s", q.ContentLength, out)
		}
	}
	if x.Req.Method != "GET" || x.Kind != request.Poll || x.Binding.Alias != "elsewhere" {
		t.Error("the poll itself has changed")
	}
}
