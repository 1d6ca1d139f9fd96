package gateway_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// manner is how a node treats a request.
type manner uint8

const (
	honest    manner = iota
	closes           // says Connection: close, and does so
	talks            // says Connection: close, stays, and talks on
	idles            // closes a moment after the answer
	snaps            // ends at the first bytes of the next request
	surpasses        // sends bytes behind the answer
	early            // answers before the end of the body
	cuts             // ends somewhere within the answer
	babbles          // answers what is not HTTP
	stalls           // stops somewhere within the answer
	refuses          // a WebSocket
)

// What a request asks for, as its token says.
const (
	page      = 'g'
	plain     = 'q' // a page without anything special
	handshake = 'h'
	poll      = 'p'
	payload   = 'o'
	preflight = 'f'
	upgrade   = 'u'
	direct    = 'd'
	webSocket = 's' // on another path than Socket.IO's
)

// script is one request and its answer. Client and node both derive it from the seed and the request's token, so that each
// knows every byte that the other has to send, and neither tells the other.
type script struct {
	token   string
	kind    byte
	method  string
	size    int  // of the request's body, or of what the client says in a tunnel
	chunk   int  // 0: the body has a length
	expects bool // 100-continue
	old     bool // HTTP/1.0
	last    bool // Connection: close
	status  int
	answer  int    // the size of the answer's body, or of what the node says in a tunnel
	framing string // of the answer: "length", "chunks" or "close"
	interim bool   // a 103 comes before
	manner  manner
	rng     *rand.Rand // what is left to chance on the node's side
}

// tokenOf names a request. Numbers are used once in a process, for buffers outlive gateways.
func tokenOf(n int, kind byte) string { return fmt.Sprintf("T%010d%c", n, kind) }

const tokenSize = 12

// scriptOf returns nil for what is no token.
func scriptOf(seed uint64, token string) *script {
	if len(token) != tokenSize || token[0] != 'T' {
		return nil
	}
	n, err := strconv.ParseUint(token[1:tokenSize-1], 10, 64)
	if err != nil {
		return nil
	}
	rng := rand.New(rand.NewPCG(seed, n))
	s := &script{token: token, kind: token[tokenSize-1], rng: rng, method: "GET", status: 200, framing: "length"}
	s.answer = someSize(rng)
	switch s.kind {
	case plain:
		return s
	case page:
		s.method = []string{"GET", "GET", "HEAD", "POST", "PUT"}[rng.IntN(5)]
	case payload:
		s.method = "POST"
	case preflight:
		s.method, s.status, s.answer = "OPTIONS", 204, 0
	}
	s.last = rng.IntN(12) == 0 && !s.tunnels()
	switch {
	case s.tunnels():
		s.size = someSize(rng)
		s.manner = []manner{honest, honest, honest, honest, refuses, cuts}[rng.IntN(6)]
		return s
	case s.method == "POST" || s.method == "PUT":
		s.size, s.expects = 1+someSize(rng), rng.IntN(6) == 0
		s.chunk = rng.IntN(2) * someChunk(rng, s.size)
	default:
		s.old = s.kind == page && rng.IntN(10) == 0
	}
	s.framing = []string{"length", "length", "chunks", "close"}[rng.IntN(4)]
	s.interim = rng.IntN(10) == 0
	s.manner = []manner{closes, talks, idles, snaps, surpasses, early, cuts, babbles, stalls}[rng.IntN(9)]
	if honestly := rng.IntN(10) < 7; honestly || s.kind == handshake && (s.manner == cuts || s.manner == babbles) {
		s.manner = honest
	}
	s.settle()
	return s
}

// settle makes the parts agree.
func (s *script) settle() {
	switch {
	case s.status == 204 || s.method == "HEAD":
		s.framing = "length"
	case s.framing == "close" && s.manner == honest:
		s.manner = closes
	case s.framing == "close" && s.manner != closes: // nobody could tell the end
		s.framing = "chunks"
	}
	switch s.manner {
	case early:
		if s.size == 0 {
			s.manner = honest
		}
	case surpasses:
		s.answer = min(s.answer, 24<<10) // so that what is behind an answer comes with it: later it could be anybody's
	}
}

func (s *script) tunnels() bool { return s.kind == upgrade || s.kind == direct || s.kind == webSocket }

func (s *script) inSession() bool {
	return s.kind == poll || s.kind == payload || s.kind == preflight || s.kind == upgrade
}

// answered reports whether the node means to answer in full.
func (s *script) answered() bool {
	switch s.manner {
	case early, cuts, babbles, stalls, refuses:
		return false
	}
	return true
}

// someSize is mostly small and at most 300 kB.
func someSize(rng *rand.Rand) int { return min(rng.IntN(1<<(1+rng.IntN(19))), 300_000) }

// someChunk is the size of the chunks of a body, which are 50 at most.
func someChunk(rng *rand.Rand, size int) int { return 1 + someSize(rng) + size/50 }

// said is what one side of an exchange says: lines that tell whose they are and where they stand. Who is '>' for a client
// and '<' for a node.
func said(token string, who byte, n int) []byte {
	line := []byte(token + string(rune(who)) + "000000 has more to say, and every line of it tells its place\n")
	b := make([]byte, 0, n+len(line))
	for i := 0; len(b) < n; i++ {
		for at, left := tokenSize+6, i; left > 0; at, left = at-1, left/10 {
			line[at] = '0' + byte(left%10)
		}
		b = append(b, line...)
	}
	return b[:n]
}

// body is the body of the answer to whom the session sid was given.
func (s *script) body(sid string) []byte {
	b := said(s.token, '<', s.answer)
	if s.kind == handshake {
		return append([]byte(openPacket(sid)+"\x1e4"), b...)
	}
	return b
}

// target is what the client asks for.
func (s *script) target(sid string) string {
	switch {
	case s.kind == page || s.kind == plain || s.kind == webSocket:
		return "/page/" + s.token
	case s.kind == direct:
		return directTarget + "&t=" + s.token
	case s.kind == upgrade:
		return upgradeTarget(sid) + "&t=" + s.token
	case s.inSession():
		return pollTarget(sid) + "&t=" + s.token
	}
	return handshakeTarget + "&t=" + s.token
}

// asked returns the request, with the head apart.
func (s *script) asked(sid string) (head, body string) {
	lines := []string{"X-Token: " + s.token}
	switch body = string(said(s.token, '>', s.size)); {
	case s.tunnels():
		lines, body = append(lines, asksWebSocket...), ""
	case s.size > 0 && s.chunk > 0:
		lines, body = append(lines, chunked), inChunks(body, s.chunk)
	case s.size > 0:
		lines = append(lines, lengthOf(body))
	}
	if s.expects {
		lines = append(lines, "Expect: 100-continue")
	}
	if s.last {
		lines = append(lines, "Connection: close")
	}
	head = request(s.method, s.target(sid), "", append(lines, "Origin: https://page.example")...)
	if s.old {
		head = strings.Replace(head, "HTTP/1.1", "HTTP/1.0", 1)
	}
	return head, body
}

// outcome is what became of a request.
type outcome uint8

const (
	missing outcome = iota // the connection ended first
	partial                // it ended within the answer
	ours                   // the gateway answered
	whole
	switched
)

// heard is an answer as far as it came.
type heard struct {
	outcome
	sid  string // of a new session
	ends bool   // the connection ends with it
	late bool   // no end came either
}

// hear reads the answer to s. An error says that something else came.
func (s *script) hear(br *bufio.Reader, goAhead func()) (heard, error) {
	for {
		if came, err := awaitHead(br); ended(err) {
			if n := min(len(came), len(version)); string(came[:n]) != version[:n] || s.foreign(came) {
				return heard{}, fmt.Errorf("at the end no part of its answer: %q", tail(came))
			}
			return heard{late: errors.Is(err, os.ErrDeadlineExceeded)}, nil
		}
		r, err := http.ReadResponse(br, &http.Request{Method: s.method})
		switch {
		case err != nil:
			return heard{}, fmt.Errorf("no answer: %w", err)
		case r.StatusCode == 101 && s.tunnels():
			if got := r.Header["X-Token"]; len(got) != 1 || got[0] != s.token {
				return heard{}, fmt.Errorf("a 101 for %q", got)
			}
			return heard{outcome: switched}, nil
		case r.StatusCode == 100 && len(r.Header) == 0 && s.expects:
			goAhead()
		case r.StatusCode < 200:
			if got := r.Header["X-Token"]; r.StatusCode != 103 || len(got) != 1 || got[0] != s.token {
				return heard{}, fmt.Errorf("a %d for %q", r.StatusCode, got)
			}
		default:
			body, err := io.ReadAll(r.Body)
			if err != nil && !ended(err) {
				return heard{}, fmt.Errorf("no body: %w after %q", err, tail(body))
			}
			h, fault := s.judge(r, body, err == nil)
			h.ends, h.late = h.ends || r.Close, errors.Is(err, os.ErrDeadlineExceeded)
			return h, fault
		}
	}
}

const version = "HTTP/1.1 "

// awaitHead waits for the end of a head, or of the connection, and returns what has come by then, which is not yet read.
func awaitHead(br *bufio.Reader) (came []byte, err error) {
	for {
		came, _ = br.Peek(br.Buffered())
		if err != nil || bytes.Contains(came, []byte("\r\n\r\n")) {
			return came, err
		}
		_, err = br.Peek(len(came) + 1)
	}
}

// foreign reports whether b has a token in it that is not the script's.
func (s *script) foreign(b []byte) bool {
	for _, token := range anyToken.FindAll(b, -1) {
		if !strings.HasPrefix(s.token, string(token)) {
			return true
		}
	}
	return false
}

// ended reports whether err only says that a connection came to an end.
func ended(err error) bool {
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, os.ErrDeadlineExceeded, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

var (
	anyToken   = regexp.MustCompile(`T\d{10}`)
	oursStatus = map[int]bool{400: true, 408: true, 413: true, 429: true, 502: true, 503: true, 504: true}
)

// judge says what an answer to s is, which came to its announced end or did not.
func (s *script) judge(r *http.Response, body []byte, complete bool) (heard, error) {
	tokens, marked := r.Header["X-Token"]
	if !marked {
		known := oursStatus[r.StatusCode] || r.StatusCode == 200 && s.inSession() && string(body) == sessionGone ||
			r.StatusCode == 204 && s.kind == preflight
		if complete && !known || len(body) > 200 || s.foreign(body) {
			return heard{}, fmt.Errorf("an answer that is nobody's: %d %q", r.StatusCode, tail(body))
		}
		return heard{outcome: ours}, nil
	}
	if len(tokens) != 1 || tokens[0] != s.token || r.StatusCode != s.answerStatus() {
		return heard{}, fmt.Errorf("the answer %d for %q", r.StatusCode, tokens)
	}
	h := heard{outcome: whole}
	if s.kind == handshake {
		if m := sidInPacket.FindSubmatch(body); m != nil {
			h.sid = string(m[1])
		}
		if id := s.token + "-n"; !strings.HasPrefix(h.sid, id) && (complete || !strings.HasPrefix(id, h.sid)) {
			return heard{}, fmt.Errorf("the session %q", h.sid)
		}
	}
	want := s.body(h.sid)
	if s.method == "HEAD" || s.status == 204 {
		want = nil
	}
	if !complete {
		h = heard{outcome: partial}
		want = want[:min(len(want), len(body))]
	}
	return h, agree(body, want)
}

// answerStatus is the status of the node's answer.
func (s *script) answerStatus() int {
	if s.manner == refuses {
		return 400
	}
	return s.status
}

// agree tells where got differs from want.
func agree(got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	return fmt.Errorf("%d bytes in place of %d; from %d on came %q and was due %q", len(got), len(want), at,
		got[at:min(at+100, len(got))], want[at:min(at+100, len(want))])
}

// tally counts what became of the requests.
type tally struct {
	outcomes  [switched + 1]atomic.Int64
	due, came atomic.Int64 // requests that nobody disturbed, and those of them that were answered in full
}

func (a *tally) asked() (sum int64) {
	for i := range a.outcomes {
		sum += a.outcomes[i].Load()
	}
	return sum
}

func (a *tally) String() string {
	o := &a.outcomes
	return fmt.Sprintf("%d whole, %d switched, %d the gateway's, %d partial, %d missing; undisturbed %d, of which answered %d",
		o[whole].Load(), o[switched].Load(), o[ours].Load(), o[partial].Load(), o[missing].Load(), a.due.Load(), a.came.Load())
}
