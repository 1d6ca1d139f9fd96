package health_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/health"
)

// canned is a connection to a node that answers the same whatever it is asked.
type canned struct {
	net.Conn
	answer io.Reader
	asked  *bytes.Buffer
}

func (c canned) Read(b []byte) (int, error)  { return c.answer.Read(b) }
func (c canned) Write(b []byte) (int, error) { return c.asked.Write(b) }
func (c canned) Close() error                { return nil }
func (c canned) SetDeadline(time.Time) error { return nil }
func okAnswer(body string, head ...string) string {
	return "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n" + strings.Join(append(head, "", body), "\r\n")
}

// FuzzAnswer holds that a probe finds the node well only if net/http reads the wanted status, or the node asks for its drain; that an
// agent's words are in what the node has said; and that a probe's session is closed by one request that reads as such.
func FuzzAnswer(f *testing.F) {
	open := `0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`
	for _, handshake := range []bool{false, true} {
		for _, answer := range []string{
			okAnswer("drain"), okAnswer("", "X-Sidway: weight=50%"), okAnswer(open), okAnswer("97:" + open), okAnswer(strings.Replace(open, "lv", "a b", 1)),
			"HTTP/1.1 103 Early Hints\r\n\r\n" + okAnswer("drain\nx"), "HTTP/1.1 503 No\r\nX-Sidway: drain\r\n\r\n", "HTTP/1.0 200\r\n\r\n25%", "HTTP/1.1 500 No\r\n\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndrain\r\n0\r\n\r\n", "\x15\x03\x03\x00\x02\x02\x28", "",
		} {
			f.Add([]byte(answer), handshake)
		}
	}
	f.Fuzz(func(t *testing.T, answer []byte, handshake bool) {
		var asked []*bytes.Buffer
		p := health.New(health.Options{Dial: func(context.Context, string, string) (net.Conn, error) {
			asked = append(asked, &bytes.Buffer{})
			return canned{answer: bytes.NewReader(answer), asked: asked[len(asked)-1]}, nil
		}})
		s := health.Settings{Path: "/health", Status: 200, Timeout: patient, Handshake: handshake, EngineIO: "/socket.io/"}
		got := p.Find(t.Context(), s, health.Node{Name: "n1", Address: "n1:3000"})
		said := strings.ToLower(string(answer))
		status, readable := plainStatus(answer)
		switch {
		case got.Outcome == health.OK && (!readable || status != 200 && !got.Drain):
			t.Errorf("it is well: %+v", got)
		case got.Outcome == health.WrongStatus && status == 200, got.Outcome > health.Unreachable, len(got.Reason) > 100:
			t.Errorf("got %+v", got)
		case !(got.Weight >= 0 && got.Weight <= 1), got.Drain && !strings.Contains(said, "drain"), got.Outcome == health.OK && got.Weight < 1 && !strings.Contains(said, "%"):
			t.Errorf("it says %+v", got)
		case len(asked) > 2, len(asked) == 2 && !handshake:
			t.Errorf("asked %d times", len(asked))
		}
		if len(asked) == 2 {
			checkClosing(t, asked[1])
		}
	})
}

// plainStatus is the status that net/http reads.
func plainStatus(answer []byte) (int, bool) {
	for b := bufio.NewReader(bytes.NewReader(answer)); ; {
		r, err := http.ReadResponse(b, nil)
		if err != nil {
			return 0, false
		}
		if r.StatusCode >= 200 || r.StatusCode == http.StatusSwitchingProtocols {
			return r.StatusCode, true
		}
	}
}

// checkClosing reads the request that closes a session.
func checkClosing(t *testing.T, asked *bytes.Buffer) {
	b := bufio.NewReader(asked)
	q, err := http.ReadRequest(b)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(q.Body)
	query := q.URL.Query()
	if rest := b.Buffered(); err != nil || rest > 0 || q.Method != "POST" || len(query["sid"]) != 1 || query.Get("sid") == "" || len(query) != 3 {
		t.Errorf("%s %s, %q, and %d bytes more: %v", q.Method, q.URL, body, rest, err)
	}
	if s := string(body); s != "1" && s != "1:1" {
		t.Errorf("the session is closed by %q", s)
	}
}
