package engineio_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sidway/sidway/engineio"
)

const (
	errorJSON = "application/json"
	plainText = "text/plain; charset=UTF-8"
	htmlText  = "text/html"
)

// table is edge.md's table of answers together with protocol.md's table of errors.
var table = []struct {
	cause  engineio.Cause
	label  string
	status int
	json   string
	text   string
	retry  bool
}{
	{engineio.SIDUnknown, "sid_unknown", 400, `{"code":1,"message":"Session ID unknown"}`, "Session ID unknown", false},
	{engineio.TransportUnknown, "transport_unknown", 400, `{"code":0,"message":"Transport unknown"}`, "Transport unknown", false},
	{engineio.BadMethod, "bad_method", 400, `{"code":2,"message":"Bad handshake method"}`, "Bad handshake method", false},
	{engineio.BadRequest, "bad_request", 400, `{"code":3,"message":"Bad request"}`, "Bad request", false},
	{engineio.Forbidden, "forbidden", 403, `{"code":4,"message":"Forbidden"}`, "Forbidden", false},
	{engineio.UnsupportedVersion, "unsupported_version", 400, `{"code":5,"message":"Unsupported protocol version"}`, "Unsupported protocol version", false},
	{engineio.VersionMismatch, "version_mismatch", 400, `{"code":3,"message":"Bad request"}`, "Bad request", false},
	{engineio.BodyTooLarge, "body_too_large", 413, `{"message":"Payload too large"}`, "Payload too large", false},
	{engineio.TooMany, "too_many", 429, `{"message":"Too many requests"}`, "Too many requests", true},
	{engineio.NoNode, "no_node", 503, `{"message":"No node available"}`, "No node available", true},
	{engineio.Paced, "paced", 503, `{"message":"Too many new sessions"}`, "Too many new sessions", true},
	{engineio.Full, "full", 503, `{"message":"No room"}`, "No room", true},
	{engineio.AuthAway, "auth_away", 503, `{"message":"Authentication not available"}`, "Authentication not available", true},
	{engineio.StoreAway, "store_away", 503, `{"message":"Session store not available"}`, "Session store not available", true},
	{engineio.SlowClient, "slow_client", 408, `{"message":"Request timed out"}`, "Request timed out", false},
	{engineio.SilentNode, "silent_node", 504, `{"message":"Node timed out"}`, "Node timed out", false},
	{engineio.BadNode, "bad_node", 502, `{"message":"Node failed"}`, "Node failed", false},
	{engineio.Loop, "loop", 508, `{"message":"Loop detected"}`, "Loop detected", false},
	{engineio.Internal, "internal", 500, `{"message":"Internal error"}`, "Internal error", false},
}

func TestAnswersByTheTable(t *testing.T) {
	for _, row := range table {
		if row.cause.String() != row.label {
			t.Errorf("label %q, want %q", row.cause, row.label)
		}
		for _, q := range forms {
			for _, k := range []engineio.Kind{engineio.PollGET, engineio.PollPOST} {
				a := engineio.AnswerFor(k, q, row.cause)
				if a.Status != row.status || a.Body != row.json || a.ContentType != errorJSON || (a.RetryAfter > 0) != row.retry {
					t.Errorf("%v, %v: %+v", k, row.cause, a)
				}
			}
			status := row.status
			if row.cause == engineio.Forbidden {
				status = 400 // as nodes refuse a WebSocket
			}
			a := engineio.AnswerFor(engineio.WebSocketGET, q, row.cause)
			if a.Status != status || a.Body != row.text || a.ContentType != htmlText || (a.RetryAfter > 0) != row.retry {
				t.Errorf("websocket, %v: %+v", row.cause, a)
			}
			if a := engineio.AnswerFor(engineio.Preflight, q, row.cause); a != (engineio.Answer{Status: 204}) {
				t.Errorf("preflight, %v: %+v", row.cause, a)
			}
		}
	}
}

func TestAnswerToASessionThatIsGone(t *testing.T) {
	unknown := engineio.Answer{Status: 400, ContentType: errorJSON, Body: `{"code":1,"message":"Session ID unknown"}`}
	for _, c := range []struct {
		k    engineio.Kind
		q    engineio.Query
		want engineio.Answer
	}{
		{engineio.PollGET, v4, engineio.Answer{Status: 200, ContentType: plainText, Body: "1"}},
		{engineio.PollGET, v3, engineio.Answer{Status: 200, ContentType: plainText, Body: "1:1"}},
		{engineio.PollGET, v4j, engineio.Answer{Status: 200, ContentType: plainText, Body: `___eio[7]("1");`}},
		{engineio.PollGET, v3j, engineio.Answer{Status: 200, ContentType: plainText, Body: `___eio[7]("1:1");`}},
		{engineio.PollPOST, v4, unknown},
		{engineio.PollPOST, v3j, unknown},
		{engineio.WebSocketGET, v4, engineio.Answer{Status: 400, ContentType: htmlText, Body: "Session ID unknown"}},
		{engineio.Preflight, v4, engineio.Answer{Status: 204}},
	} {
		for _, cause := range []engineio.Cause{engineio.SessionGone, engineio.Drained, engineio.TokenExpired} {
			if a := engineio.AnswerFor(c.k, c.q, cause); a != c.want {
				t.Errorf("%v, %+v, %v: %+v", c.k, c.q, cause, a)
			}
		}
	}
}

func TestACauseOutsideTheSetIsOurFault(t *testing.T) {
	if c := engineio.Cause(200); c.String() != "internal" || engineio.AnswerFor(engineio.PollGET, v4, c).Status != 500 {
		t.Errorf("%v", c)
	}
}

func TestErrorsNameTheirCause(t *testing.T) {
	for cause, e := range map[engineio.Cause]*engineio.Error{
		engineio.TransportUnknown:   engineio.ErrTransportUnknown,
		engineio.SIDUnknown:         engineio.ErrSIDUnknown,
		engineio.BadMethod:          engineio.ErrBadHandshakeMethod,
		engineio.BadRequest:         engineio.ErrBadRequest,
		engineio.Forbidden:          engineio.ErrForbidden,
		engineio.UnsupportedVersion: engineio.ErrUnsupportedVersion,
	} {
		if e.Cause() != cause || !strings.Contains(engineio.AnswerFor(engineio.PollPOST, v4, cause).Body, e.Message) {
			t.Errorf("%v: %v", e, e.Cause())
		}
	}
}

// wireAnswers are answers as they are sent.
var wireAnswers = []struct {
	name  string
	a     engineio.Answer
	cors  engineio.CORS
	close bool
	want  string
}{
	{
		"an error", engineio.AnswerFor(engineio.PollGET, v4, engineio.SIDUnknown),
		engineio.CORS{Origin: "http://page.example"},
		false,
		"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 41\r\nCache-Control: no-store\r\n" +
			"Access-Control-Allow-Origin: http://page.example\r\nAccess-Control-Allow-Credentials: true\r\nVary: Origin\r\n\r\n" +
			`{"code":1,"message":"Session ID unknown"}`,
	},
	{
		"a close packet", engineio.AnswerFor(engineio.PollGET, v3, engineio.SessionGone),
		engineio.CORS{Origin: "null"},
		false,
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: 3\r\nCache-Control: no-store\r\n" +
			"Access-Control-Allow-Origin: null\r\nAccess-Control-Allow-Credentials: true\r\nVary: Origin\r\n\r\n1:1",
	},
	{
		"no page asks", engineio.AnswerFor(engineio.WebSocketGET, v4, engineio.NoNode),
		engineio.CORS{},
		true,
		"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: 17\r\nCache-Control: no-store\r\n" +
			"Retry-After: 5\r\nVary: Origin\r\nConnection: close\r\n\r\nNo node available",
	},
	{
		"a preflight", engineio.AnswerFor(engineio.Preflight, v4, engineio.SessionGone),
		engineio.CORS{Origin: "http://page.example", Method: "POST", Headers: "content-type,x-a"},
		false,
		"HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: http://page.example\r\nAccess-Control-Allow-Credentials: true\r\n" +
			"Access-Control-Allow-Methods: POST\r\nAccess-Control-Allow-Headers: content-type,x-a\r\n" +
			"Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n\r\n",
	},
	{
		"an OPTIONS that is no preflight", engineio.AnswerFor(engineio.Preflight, v4, engineio.NoNode),
		engineio.CORS{},
		false,
		"HTTP/1.1 204 No Content\r\nVary: Origin\r\n\r\n",
	},
	{
		"values that would begin other headers", engineio.AnswerFor(engineio.Preflight, v4, engineio.NoNode),
		engineio.CORS{Origin: "a\r\nb: c", Method: "POST\n", Headers: "\x00"},
		false,
		"HTTP/1.1 204 No Content\r\nVary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n\r\n",
	},
}

func TestAnswersOnTheWire(t *testing.T) {
	for _, c := range wireAnswers {
		if got := string(c.a.Append(nil, c.cors, c.close)); got != c.want {
			t.Errorf("%s:\n%q\nwant\n%q", c.name, got, c.want)
		}
	}
}

func TestAnswersDoNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 1024)
	cors := engineio.CORS{Origin: "http://page.example", Method: "POST", Headers: "content-type"}
	for _, k := range []engineio.Kind{engineio.PollGET, engineio.PollPOST, engineio.WebSocketGET, engineio.Preflight} {
		for c := engineio.SessionGone; c <= engineio.Internal; c++ {
			if n := testing.AllocsPerRun(10, func() { engineio.AnswerFor(k, v4, c).Append(dst, cors, true) }); n != 0 {
				t.Errorf("%v, %v: %v allocations", k, c, n)
			}
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	dst := make([]byte, 0, 1024)
	cors := engineio.CORS{Origin: "http://page.example"}
	b.ReportAllocs()
	for b.Loop() {
		engineio.AnswerFor(engineio.PollGET, v4, engineio.SessionGone).Append(dst, cors, false)
	}
}

// FuzzAnswer checks that net/http reads exactly one answer in what Append writes, whatever the request's headers say.
func FuzzAnswer(f *testing.F) {
	f.Add(uint8(0), uint8(1), "http://page.example", "POST", "content-type", true)
	f.Add(uint8(3), uint8(8), "x\r\nSet-Cookie: a", "\n", "\x7f", false)
	f.Fuzz(func(t *testing.T, kind, cause uint8, origin, method, headers string, last bool) {
		k := engineio.Kind(kind % 4)
		a := engineio.AnswerFor(k, v4, engineio.Cause(cause))
		wire := a.Append([]byte("before"), engineio.CORS{Origin: origin, Method: method, Headers: headers}, last)
		wire, ok := bytes.CutPrefix(wire, []byte("before"))
		if !ok {
			t.Fatal("what stood in dst is gone")
		}
		r := bufio.NewReader(bytes.NewReader(wire))
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%q: %v", wire, err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || string(body) != a.Body || res.StatusCode != a.Status || res.Close != last || r.Buffered() > 0 {
			t.Errorf("%q: %q, %v", wire, body, err)
		}
		for name := range res.Header {
			if !strings.Contains("Content-Type Content-Length Cache-Control Retry-After Vary Connection Access-Control-Allow-Origin "+
				"Access-Control-Allow-Credentials Access-Control-Allow-Methods Access-Control-Allow-Headers", name) {
				t.Errorf("%q: a header %q", wire, name)
			}
		}
	})
}
