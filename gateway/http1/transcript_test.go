package http1_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/http1"
)

// kept is an answer behind which a node keeps the connection.
const kept = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\n\r\nok"

// vector is one input, whole, and the transcript of what is read from it.
type vector struct {
	name, in, want string
}

// reading makes a transcript of what a connection says.
type reading func(net.Conn) string

// requestTranscript reads requests until the end: method and target of each, its body quoted where it has one, and at last
// EOF, cut, or the status and reason of the refusal.
func requestTranscript(c net.Conn) string {
	r := http1.NewReader(c)
	var q http1.Request
	var b strings.Builder
	for {
		if err := r.Request(&q, wait, wait); err != nil {
			return b.String() + outcome(err)
		}
		fmt.Fprintf(&b, "%s %s ", q.Method, q.Target)
		body := r.RequestBody(&q)
		if body.Done() {
			continue
		}
		text, err := readBody(body)
		fmt.Fprintf(&b, "%q ", text)
		if err != io.EOF {
			return b.String() + outcome(err)
		}
	}
}

// responseTranscript does the same for the responses to one method.
func responseTranscript(method string) reading {
	return func(c net.Conn) string {
		r := http1.NewReader(c)
		var p http1.Response
		var b strings.Builder
		for {
			if err := r.Response(&p, method); err != nil {
				return b.String() + outcome(err)
			}
			fmt.Fprintf(&b, "%d ", p.Status)
			body := r.ResponseBody(&p)
			if body.Done() {
				continue
			}
			text, err := readBody(body)
			fmt.Fprintf(&b, "%q ", text)
			if err != io.EOF {
				return b.String() + outcome(err)
			}
		}
	}
}

func outcome(err error) string {
	var e *http1.Error
	switch {
	case err == io.EOF:
		return "EOF"
	case err == io.ErrUnexpectedEOF:
		return "cut"
	case errors.As(err, &e):
		return fmt.Sprintf("%d %s", e.Status, e.Reason)
	}
	return "error " + err.Error()
}

// checkVectors reads each vector however its bytes may arrive.
func checkVectors(t *testing.T, vectors []vector, read reading) {
	t.Helper()
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			if got := read(script(v.in)); !matches(got, v.want) {
				t.Fatalf("%q\n got %s\nwant %s", short(v.in), got, v.want)
			}
			checkSplits(t, v.in, read)
			if got := read(overSocket(t, v.in)); !matches(got, v.want) {
				t.Fatalf("over a socket: %q\n got %s\nwant %s", short(v.in), got, v.want)
			}
		})
	}
}

// matches compares, a status without reason standing for any reason.
func matches(got, want string) bool {
	if rest, ok := strings.CutPrefix(got, want); ok {
		last := want[max(0, len(want)-3):]
		return rest == "" || last == "400" || last == "502"
	}
	return false
}

// checkSplits compares what is read from one piece with what is read from each byte alone, from all pairs of pieces and
// from random ones.
func checkSplits(t *testing.T, in string, read reading) {
	t.Helper()
	want := read(script(in))
	check := func(pieces ...string) {
		if got := read(script(pieces...)); got != want {
			t.Helper()
			t.Fatalf("in %d pieces, the first of %d bytes: %q\n got %s\nwant %s", len(pieces), len(pieces[0]), short(in), got, want)
		}
	}
	if in == "" {
		return
	}
	check(strings.Split(in, "")...)
	if len(in) < 1000 {
		for i := range len(in) {
			check(in[:i], in[i:])
		}
	}
	random := rand.New(rand.NewPCG(1, uint64(len(in))))
	for range 20 {
		check(randomPieces(random, in)...)
	}
}

func randomPieces(random *rand.Rand, s string) []string {
	var pieces []string
	for longest := 1 + random.IntN(len(s)); s != ""; {
		n := min(len(s), 1+random.IntN(longest))
		pieces = append(pieces, s[:n])
		s = s[n:]
	}
	return pieces
}

func script(pieces ...string) net.Conn {
	c := &scriptedConn{}
	for _, p := range pieces {
		c.pieces = append(c.pieces, []byte(p))
	}
	return c
}

// overSocket returns the end of a real connection to which s was sent in two writes.
func overSocket(t *testing.T, s string) net.Conn {
	t.Helper()
	near, far := tcpPair(t)
	send(t, far, s[:len(s)/2])
	send(t, far, s[len(s)/2:])
	if err := far.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	return near
}

func short(s string) string {
	if len(s) > 300 {
		return s[:300] + "…"
	}
	return s
}
