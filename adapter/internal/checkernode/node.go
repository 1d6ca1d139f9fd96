package main

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/socket.io/v2/socket"
)

// node writes down what its sessions do, acknowledges numbered messages, and sends its own.
type node struct {
	history *history
	push    time.Duration
	known   sync.Map // sid -> true
}

// strays writes down requests of sessions that the node did not make.
func (n *node) strays(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sid := r.URL.Query().Get("sid"); sid != "" {
			if _, known := n.known.Load(sid); !known {
				n.history.write(event{Kind: "stray", SID: sid, Why: r.Method})
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (n *node) session(s engine.Socket) {
	sid := s.Id()
	n.known.Store(sid, true)
	n.history.write(event{Kind: "open", SID: sid})
	_ = s.Once("close", func(args ...any) {
		n.known.Delete(sid)
		n.history.write(event{Kind: "end", SID: sid, Why: fmt.Sprint(args[0])})
	})
}

// conversation is a socket's messages.
type conversation struct {
	n      *node
	s      *socket.Socket
	sid    string
	binary bool

	mu      sync.Mutex
	sent    int
	settled bool // its client knows how many those are
}

func (n *node) serve(s *socket.Socket) {
	c := &conversation{n: n, s: s, sid: s.Client().Conn().Id()}
	_, c.binary = s.Handshake().Query["binary"]
	over := make(chan struct{})
	stop := sync.OnceFunc(func() { close(over) })
	go c.talk(over)
	_ = s.On("up", func(args ...any) {
		head, ack := args[0].(map[string]any), args[2].(socket.Ack)
		n.history.write(received(c.sid, head, plain(args[1])))
		ack(nil, nil)
		if int(head["seq"].(float64))%3 == 0 {
			c.say()
		}
	})
	_ = s.On("settle", func(args ...any) {
		stop()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.settled = true
		args[0].(socket.Ack)([]any{map[string]any{"sent": c.sent}}, nil)
	})
	_ = s.On("disconnect", func(...any) { stop() })
}

func (c *conversation) talk(over chan struct{}) {
	tick := time.NewTicker(c.n.push)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
			c.say()
		}
	}
}

// sizes are how long payloads are.
var sizes = [...]int{20, 60, 40, 300, 700, 50, 2000, 30, 9000, 90}

func (c *conversation) say() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.settled { // a tick was taken that came just before
		return
	}
	seq := c.sent
	c.sent++
	c.n.history.write(event{Kind: "send", SID: c.sid, Dir: "down", Seq: seq})
	piece := fmt.Sprintf("%s %d é€😀 ", c.sid, seq)
	text := strings.Repeat(piece, 1+sizes[seq%len(sizes)]/len(piece))
	head := map[string]any{"sid": c.sid, "seq": seq, "sum": digest(c.sid, "down", seq, text)}
	var data any = text
	if c.binary && seq%3 == 1 {
		data = []byte(text)
	}
	_ = c.s.Emit("down", head, data) // without acknowledgement, since the library's bookkeeping of those races with itself
}

func digest(sid, dir string, seq int, text string) string {
	sum := sha1.Sum(fmt.Appendf(nil, "%s %s %d %s", sid, dir, seq, text))
	return hex.EncodeToString(sum[:8])
}

// plain is the text of a payload, which may be one of the library's buffers.
func plain(data any) string {
	switch data := data.(type) {
	case interface{ Bytes() []byte }:
		return string(data.Bytes())
	case []byte:
		return string(data)
	}
	return fmt.Sprint(data)
}

// received is the event of a message that came in session sid.
func received(sid string, head map[string]any, text string) event {
	of, seq := fmt.Sprint(head["sid"]), int(head["seq"].(float64))
	e := event{Kind: "receive", SID: sid, Dir: "up", Seq: seq, Bad: digest(of, "up", seq, text) != head["sum"]}
	if of != sid {
		e.Of = of
	}
	return e
}
