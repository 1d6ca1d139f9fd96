//go:build linux

package client

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sidway/sidway/bench/checker/history"
)

// session is one Engine.IO session of a raw client, and the Socket.IO connection in it.
type session struct {
	c        *client
	sid      string
	silence  time.Duration // pingInterval + pingTimeout
	upgrades bool
	life     context.Context // ends with the session
	cancel   context.CancelFunc
	socket   socket          // of a session that has begun with it
	paused   context.Context // ends when no request of polling may follow
	pause    context.CancelFunc
	polled   chan struct{} // closed when no poll is in flight and none follows
	posted   chan struct{} // so for POSTs
	running  sync.WaitGroup
	wake     chan struct{} // there is something in the queue; buffered
	heard    *time.Timer   // ends the session when the node has not pinged for too long

	mu        sync.Mutex
	why       string
	connected bool
	queue     []string       // packets to be sent
	busy      map[string]int // requests in flight and tunnels, by front
	on        string         // the front of the last poll or tunnel
	next      int            // number of the next message
	waiting   map[int]bool   // messages without an acknowledgement
	received  int
	due       int           // messages that the node says it sent; -1 until it says so
	stopping  bool          // nothing new is sent
	settled   chan struct{} // closed when nothing is awaited any more
}

// window is how many messages of a session may be without acknowledgement: enough to go on through 10 s of silence.
const window = 100

func newSession(c *client) *session {
	s := &session{
		c: c, busy: map[string]int{}, waiting: map[int]bool{}, due: -1, wake: make(chan struct{}, 1),
		polled: make(chan struct{}), posted: make(chan struct{}), settled: make(chan struct{}),
	}
	s.life, s.cancel = context.WithCancel(c.r.life)
	s.paused, s.pause = context.WithCancel(s.life)
	return s
}

// live runs the session until it has ended and nothing of it runs any more.
func (s *session) live() {
	s.heard = time.AfterFunc(s.silence, func() { s.end("ping timeout") })
	defer s.heard.Stop()
	s.send("40")
	s.running.Go(s.talk)
	if s.c.mode == websockets {
		s.running.Go(func() { s.tunnel(s.socket) })
	} else {
		s.running.Go(s.poll)
	}
	<-s.life.Done()
	s.end("the run was given up")
	s.running.Wait()
}

// end ends the session once: its connections are closed, unless it is to vanish.
func (s *session) end(why string) {
	s.mu.Lock()
	if s.why != "" {
		s.mu.Unlock()
		return
	}
	s.why = why
	fronts := slices.Sorted(maps.Keys(s.busy))
	s.mu.Unlock()
	s.c.write(history.Event{Kind: history.End, SID: s.sid, Why: why, Fronts: fronts})
	s.cancel()
	if why != history.Vanished {
		s.c.links.close()
	}
}

func (s *session) isConnected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connected && s.why == ""
}

// begun notes that a request or tunnel is in flight through a front; lasting ones are polls and tunnels. What it returns takes the
// note back, which must not happen before a failure has ended the session.
func (s *session) begun(front string, lasting bool) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy[front]++
	if lasting && s.on != front {
		s.on = front
		s.c.write(history.Event{Kind: history.On, SID: s.sid, Fronts: []string{front}})
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.busy[front]--; s.busy[front] == 0 {
			delete(s.busy, front)
		}
	}
}

// send queues a packet of Engine.IO's.
func (s *session) send(packet string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.push(packet)
}

// push is send for who holds the lock.
func (s *session) push(packet string) {
	s.queue = append(s.queue, packet)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (s *session) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	packets := s.queue
	s.queue = nil
	return packets
}

// talk sends messages at the crowd's pace until the session settles, and then leaves.
func (s *session) talk() {
	rng := s.c.rng
	for {
		pace := s.c.r.crowd.Pace
		select {
		case <-s.life.Done():
			return
		case <-s.settled:
			return
		case <-time.After(pace/2 + time.Duration(rng.Int64N(int64(pace)))):
			s.say(rng.IntN(len(sizes)))
		}
	}
}

// say sends the next message, if there may be one: never behind the question that settle asks.
func (s *session) say(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.connected || s.stopping || len(s.waiting) >= window {
		return
	}
	seq := s.next
	s.next++
	s.waiting[seq] = true
	s.c.write(history.Event{Kind: history.Send, SID: s.sid, Dir: history.Up, Seq: seq})
	text := payload(s.sid, seq, sizes[size])
	head, err := json.Marshal([]any{"up", heading{s.sid, seq, digest(s.sid, history.Up, seq, text)}, text})
	if err != nil {
		panic(err) // strings and numbers
	}
	s.push("42" + strconv.Itoa(seq) + string(head))
}

// settle has the session send nothing new, ask the node how much it has sent, and leave when it has all of that.
func (s *session) settle(patience context.Context) {
	s.mu.Lock()
	again := s.stopping
	s.stopping = true
	ask := s.connected && !again
	s.mu.Unlock()
	if again {
		return
	}
	if ask {
		s.send(settleQuestion)
	}
	s.c.r.all.Go(func() {
		select {
		case <-s.life.Done():
			return
		case <-patience.Done():
		case <-s.settled:
			s.c.write(history.Event{Kind: history.Settled, SID: s.sid, Due: s.due})
		}
		s.end(history.Stopped)
	})
}

// settleQuestion has an acknowledgement's number that no message has.
const (
	settleNumber   = "1000000000"
	settleQuestion = "42" + settleNumber + `["settle"]`
)

// check closes settled where nothing is awaited any more. The caller has the lock.
func (s *session) check() {
	if s.stopping && s.due >= 0 && s.received >= s.due && len(s.waiting) == 0 {
		select {
		case <-s.settled:
		default:
			close(s.settled)
		}
	}
}

// hear handles a packet from the node. It returns false where the session has ended.
func (s *session) hear(packet string) bool {
	if s.life.Err() != nil {
		return false
	}
	switch {
	case packet == "2":
		s.heard.Reset(s.silence)
		s.send("3")
	case packet == "1":
		s.end("close packet")
		return false
	case packet == "6":
	case strings.HasPrefix(packet, "40"):
		s.onConnect()
	case strings.HasPrefix(packet, "41"), strings.HasPrefix(packet, "44"):
		s.end("node disconnects: " + packet)
		return false
	case strings.HasPrefix(packet, "42"):
		s.onMessage(packet[2:])
	case strings.HasPrefix(packet, "43"):
		s.onAck(packet[2:])
	default:
		s.end(fmt.Sprintf("unknown packet %.40q", packet))
		return false
	}
	return true
}

func (s *session) onConnect() {
	s.mu.Lock()
	s.connected = true
	ask := s.stopping
	s.mu.Unlock()
	s.c.write(history.Event{Kind: history.Connected, SID: s.sid})
	if ask {
		s.send(settleQuestion)
	}
}
