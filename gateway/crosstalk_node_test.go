package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// scripted is a node whose answers follow from the requests' tokens.
type scripted struct {
	*crosstalk
	name string
	l    net.Listener

	mu    sync.Mutex
	conns map[*wire]bool // whether it waits for a request
	work  sync.WaitGroup
}

// startScripted serves until the test ends.
func (x *crosstalk) startScripted(name string) *scripted {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		x.t.Fatal(err)
	}
	n := &scripted{crosstalk: x, name: name, l: l, conns: map[*wire]bool{}}
	n.work.Go(n.accept)
	x.t.Cleanup(n.stop)
	return n
}

func (n *scripted) stop() {
	n.l.Close()
	n.mu.Lock()
	for c := range n.conns {
		c.Close()
	}
	n.mu.Unlock()
	n.work.Wait()
}

func (n *scripted) accept() {
	for i := 0; ; i++ {
		conn, err := n.l.Accept()
		if err != nil {
			return
		}
		c := nodeWire(conn)
		if i%4 == 0 {
			c.SetReadBuffer(32 << 10)
		}
		n.waits(c, false)
		n.work.Go(func() {
			n.serve(c)
			c.Close()
			n.mu.Lock()
			delete(n.conns, c)
			n.mu.Unlock()
		})
	}
}

func (n *scripted) waits(c *wire, waits bool) {
	n.mu.Lock()
	n.conns[c] = waits
	n.mu.Unlock()
}

// disturb sends something on connections that wait for requests, or ends them, and returns when that has arrived. It is
// called when no client has asked for anything, so that the gateway can know.
func (n *scripted) disturb(rng *rand.Rand) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c, waits := range n.conns {
		if !waits {
			continue
		}
		switch rng.IntN(4) {
		case 0:
			io.WriteString(c, answer(200, "4surplus", "X-Token: "+tokenOf(1, poll)))
		case 1:
			c.CloseWrite()
		case 2:
			c.SetLinger(0)
			c.Close()
			continue
		}
		raw, err := c.SyscallConn()
		for try, left := 0, 1; err == nil && left > 0 && try < 50; try++ { // a reset connection never gets rid of what is left
			err = raw.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) })
			pause(rng)
		}
	}
}

// serve answers what comes on a connection, until it ends.
func (n *scripted) serve(c *wire) {
	br := bufio.NewReader(c)
	for !n.failed.Load() {
		n.waits(c, true)
		_, err := awaitHead(br)
		if n.waits(c, false); ended(err) {
			return
		}
		r, err := http.ReadRequest(br)
		if err != nil {
			n.report(fmt.Errorf("%s got what is no request: %w", n.name, err))
			return
		}
		s, err := n.read(r)
		if err != nil {
			n.report(fmt.Errorf("%s got %s %s: %w", n.name, r.Method, r.RequestURI, err))
			return
		}
		v := &visit{scripted: n, s: s, c: c, br: br, r: r}
		if s.tunnels() {
			v.tunnel()
			return
		}
		if !v.answer() {
			return
		}
	}
}

// read checks the head of a request.
func (n *scripted) read(r *http.Request) (*script, error) {
	tokens := r.Header["X-Token"]
	if len(tokens) != 1 {
		return nil, fmt.Errorf("the tokens %q", tokens)
	}
	s := scriptOf(n.seed, tokens[0])
	if s == nil {
		return nil, fmt.Errorf("the token %q", tokens[0])
	}
	sid := r.URL.Query().Get("sid")
	if r.Method != s.method || r.RequestURI != s.target(sid) || (sid != "") != s.inSession() {
		return nil, fmt.Errorf("the head of %s", s.token)
	}
	if s.inSession() && !strings.HasSuffix(sid, "-"+n.name) {
		return nil, fmt.Errorf("the session %q at %s", sid, n.name)
	}
	length := int64(-1)
	if s.chunk == 0 {
		length = int64(s.size)
	}
	if !s.tunnels() && r.ContentLength != length && r.ContentLength != int64(s.size) {
		return nil, fmt.Errorf("a body of %d in place of %d", r.ContentLength, s.size)
	}
	return s, nil
}

// visit is one request at a node.
type visit struct {
	*scripted
	s  *script
	c  *wire
	br *bufio.Reader
	r  *http.Request
}

// took reads up to most bytes of the request's body behind had others, and reports whether they came and were its own.
func (v *visit) took(had, most int) bool {
	got, err := io.ReadAll(io.LimitReader(v.r.Body, int64(most)))
	want := said(v.s.token, '>', v.s.size)[had:]
	want = want[:min(len(want), most)]
	if err != nil && ended(err) {
		want = want[:min(len(want), len(got))]
	}
	if fault := agree(got, want); fault != nil {
		v.report(fmt.Errorf("%s got as the body of %s %w (%v)", v.name, v.s.token, fault, err))
		return false
	}
	return err == nil
}

// answer answers, and reports whether the connection may carry another request.
func (v *visit) answer() bool {
	s, rng := v.s, v.s.rng
	first := s.size + 1
	if s.manner == early {
		first = rng.IntN(s.size)
	}
	if !v.took(0, first) {
		return false
	}
	if s.interim {
		fmt.Fprintf(v.c, "HTTP/1.1 103 Early Hints\r\nX-Token: %s\r\n\r\n", s.token)
	}
	b := v.said()
	switch s.manner {
	case cuts, stalls:
		b = b[:rng.IntN(len(b))]
	case babbles:
		b = []byte("babble " + s.token + "\r\n\r\n")
	case surpasses:
		b = append(b, v.surplus()...)
	}
	if s.manner == surpasses {
		v.c.Write(b)
	} else if !dribble(v.c, rng, b) {
		return false
	}
	return v.afterwards(first)
}

// afterwards does what comes behind the answer.
func (v *visit) afterwards(first int) bool {
	s, rng := v.s, v.s.rng
	switch s.manner {
	case early:
		if rng.IntN(2) == 0 && v.took(first, s.size) {
			return true
		}
		fallthrough
	case cuts:
		if rng.IntN(2) == 0 {
			v.c.SetLinger(0)
		}
	case talks:
		pause(rng)
		io.WriteString(v.c, v.surplus())
		v.silence()
	case idles:
		pause(rng)
	case snaps:
		v.br.Peek(1 + rng.IntN(200))
		if rng.IntN(2) == 0 {
			v.c.SetLinger(0)
		}
	case stalls, babbles:
		v.silence()
	case closes:
	default:
		return true
	}
	return false
}

// said is the answer as it goes out.
func (v *visit) said() []byte {
	s := v.s
	body := s.body(s.token + "-" + v.name)
	b := fmt.Appendf(nil, "HTTP/1.1 %d Said\r\nX-Token: %s\r\n", s.answerStatus(), s.token)
	if s.rng.IntN(2) == 0 {
		b = append(b, "Keep-Alive: timeout=5\r\n"...)
	}
	if s.manner == closes || s.manner == talks {
		b = append(b, "Connection: close\r\n"...)
	}
	switch {
	case s.status == 204:
		return append(b, "\r\n"...)
	case s.method == "HEAD":
		return fmt.Appendf(b, "Content-Length: %d\r\n\r\n", len(body))
	case s.framing == "chunks":
		b = append(b, chunked+"\r\n\r\n"...)
		return append(b, inChunks(string(body), someChunk(s.rng, len(body)))...)
	case s.framing == "length":
		b = fmt.Appendf(b, "Content-Length: %d\r\n", len(body))
	}
	return append(append(b, "\r\n"...), body...)
}

// surplus is what belongs to no answer: another one, or just words, that are told from any answer's by the token.
func (v *visit) surplus() string {
	foreign := tokenOf(0, v.s.kind)
	words := strings.Repeat("surplus of "+v.s.token+" ", 1+v.s.rng.IntN(20))
	switch v.s.rng.IntN(4) {
	case 0:
		return words
	case 1:
		return string(said(v.s.token, '<', v.s.answer)) // which an answer to HEAD must not have
	}
	return answer(200, words, "X-Token: "+foreign)
}

// silence waits for the end of a connection on which nothing more may come.
func (v *visit) silence() {
	if b, _ := io.ReadAll(v.br); len(b) > 0 {
		v.report(fmt.Errorf("%s got behind %s: %q", v.name, v.s.token, b[:min(len(b), 300)]))
	}
}

// tunnel answers a request for a WebSocket.
func (v *visit) tunnel() {
	s, rng := v.s, v.s.rng
	if s.manner == refuses {
		v.c.Write(append(v.said(), v.surplus()...))
		v.hearFrames() // the client may have sent some already
		return
	}
	b := []byte(strings.Replace(switching(&nodeRequest{Request: v.r}), "\r\n", "\r\nX-Token: "+s.token+"\r\n", 1))
	if s.kind == direct {
		b = append(b, frame(openPacket(s.token+"-"+v.name))...)
	}
	b = frames(b, rng, said(s.token, '<', s.answer), false)
	if s.manner == cuts {
		dribble(v.c, rng, b[:rng.IntN(len(b))])
		if rng.IntN(2) == 0 {
			v.c.SetLinger(0)
		}
		return
	}
	var writing sync.WaitGroup
	writing.Go(func() { dribble(v.c, rng, b) })
	v.hearFrames()
	writing.Wait()
}

// hearFrames takes what the client says in a tunnel, to its end.
func (v *visit) hearFrames() {
	if _, err := unframe(v.br, said(v.s.token, '>', v.s.size), true); err != nil {
		v.report(fmt.Errorf("%s got in the tunnel of %s %w", v.name, v.s.token, err))
	}
}

// dribble writes b whole or in pieces, and reports whether it went out.
func dribble(c *wire, rng *rand.Rand, b []byte) bool {
	pieces := 0
	if rng.IntN(2) == 0 {
		pieces = 1 + rng.IntN(6)
	}
	for ; pieces > 0 && len(b) > 0; pieces-- {
		n := rng.IntN(len(b))
		if rng.IntN(2) == 0 {
			n = min(n, 500) // near a head
		}
		if _, err := c.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
		pause(rng)
	}
	_, err := c.Write(b)
	return err == nil
}

// pause lets others run, for a moment or more: what comes in pieces is seen in pieces.
func pause(rng *rand.Rand) { time.Sleep(time.Duration(rng.IntN(300)) * time.Microsecond) }
