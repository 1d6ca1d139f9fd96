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

// node counts what its sessions and sockets do.
type node struct {
	name  string
	io    *socket.Server
	quiet quiet

	mu      sync.Mutex
	counts  counts
	ledgers []*ledger
}

// counts are the fields of the stats line, named as testdata/server.mjs names them.
type counts struct {
	Node       string         `json:"node"`
	Sessions   int            `json:"sessions"`
	Live       int            `json:"live"`
	Upgraded   int            `json:"upgraded"`
	Websockets int            `json:"websockets"`
	Sockets    int            `json:"sockets"`
	Received   int            `json:"received"`
	Lost       int            `json:"lost"`
	Doubled    int            `json:"doubled"`
	Reordered  int            `json:"reordered"`
	Corrupt    int            `json:"corrupt"`
	Closes     map[string]int `json:"closes"`
	// Broken are the sessions that the library ended because two of its goroutines wrote to the same poll. Nothing that
	// comes over the wire can bring that about.
	Broken []string `json:"broken"`
}

func newNode(name string, opts *socket.ServerOptions) *node {
	n := &node{name: name, io: socket.NewServer(nil, opts), counts: counts{Node: name, Closes: map[string]int{}}}
	n.io.On("connection", func(clients ...any) {
		n.serve(clients[0].(*socket.Socket))
	})
	return n
}

func (n *node) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", n.quiet.upgrades(completed(n.io.ServeHandler(nil))))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "a Go node")
	})
	n.io.Engine().On("connection", func(sessions ...any) {
		n.count(sessions[0].(engine.Socket))
	})
	return mux
}

func (n *node) count(session engine.Socket) {
	n.quiet.begin(session.Id())
	n.change(func(c *counts) {
		c.Sessions++
		c.Live++
		if session.Transport().Name() == "websocket" {
			c.Websockets++
		}
	})
	session.Once("upgrade", func(...any) {
		n.change(func(c *counts) { c.Upgraded++ })
	})
	session.Once("close", func(args ...any) {
		n.quiet.end(session.Id())
		n.change(func(c *counts) {
			c.Live--
			c.Closes[fmt.Sprint(args[0])]++
			if err, ok := args[1].(error); ok && strings.Contains(err.Error(), "polling write error") {
				c.Broken = append(c.Broken, session.Id())
			}
		})
	})
}

func (n *node) change(f func(*counts)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(&n.counts)
}

func (n *node) stats() counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.counts
	for _, l := range n.ledgers {
		l.addTo(&c)
	}
	return c
}

// serve answers one socket: each echo is pushed beside, acknowledged with its payload, and perhaps pushed later once more.
func (n *node) serve(s *socket.Socket) {
	l := &ledger{missing: map[int]bool{}}
	n.mu.Lock()
	n.counts.Sockets++
	n.ledgers = append(n.ledgers, l)
	n.mu.Unlock()
	p := &pusher{socket: s}
	_ = s.On("echo", func(args ...any) {
		head, data, ack := args[0].(map[string]any), plain(args[1]), args[2].(socket.Ack)
		l.take(int(head["seq"].(float64)), digest(data) == head["sum"])
		p.push()
		ack([]any{map[string]any{"seq": head["seq"]}, data}, nil)
		if late := head["late"].(float64); late > 0 {
			p.later(time.Duration(late) * time.Millisecond)
		}
	})
	_ = s.On("settle", func(args ...any) {
		ack := args[0].(socket.Ack)
		p.settled(func(pushed int) { ack([]any{map[string]any{"pushed": pushed}}, nil) })
	})
	sid := s.Client().Conn().Id()
	_ = s.Emit("hello", map[string]any{"node": n.name}, func([]any, error) { n.quiet.reached(sid) })
}

// pusher numbers the messages that the node sends of its own accord.
type pusher struct {
	socket *socket.Socket

	mu      sync.Mutex
	sent    int
	waiting int
	done    func(pushed int)
}

func (p *pusher) push() {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := strings.Repeat(fmt.Sprintf("push %d é ", p.sent), 1+p.sent%3*60)
	var data any = text
	if p.sent%2 == 1 {
		data = []byte(text)
	}
	_ = p.socket.Emit("push", map[string]any{"seq": p.sent, "sum": digest(data)}, data)
	p.sent++
}

func (p *pusher) later(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting++
	time.AfterFunc(d, func() {
		p.push()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.waiting--
		p.tell()
	})
}

// settled calls done when no push is waiting.
func (p *pusher) settled(done func(pushed int)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = done
	p.tell()
}

func (p *pusher) tell() {
	if p.waiting > 0 || p.done == nil {
		return
	}
	p.done(p.sent)
	p.done = nil
}

// plain turns the library's buffers into the bytes that they hold.
func plain(data any) any {
	if b, ok := data.(interface{ Bytes() []byte }); ok {
		return b.Bytes()
	}
	return data
}

func digest(data any) string {
	var sum [sha1.Size]byte
	switch data := data.(type) {
	case string:
		sum = sha1.Sum([]byte(data))
	case []byte:
		sum = sha1.Sum(data)
	}
	return hex.EncodeToString(sum[:])[:16]
}
