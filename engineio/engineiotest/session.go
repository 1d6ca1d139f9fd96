package engineiotest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/sidway/sidway/engineio"
)

// Reason is why a session ended.
type Reason string

// The reasons.
const (
	ClientClosed    Reason = "the client sent a close packet"
	NodeClosed      Reason = "the node closed it"
	NodeDown        Reason = "the node went down"
	PollAborted     Reason = "a poll was aborted"
	PollOverlap     Reason = "two polls at once"
	BadPayload      Reason = "a payload that is none"
	PingTimeout     Reason = "no ping or pong came in time"
	WebSocketClosed Reason = "its WebSocket closed"
)

// session is one session. Node.mu guards it.
type session struct {
	id       string
	version  int
	binary   bool // the client takes payloads of revision 3 as bytes
	queue    []packet
	wakePoll chan struct{} // has room for one: something happened that a waiting poll must see
	wakeSend chan struct{} // the same for the WebSocket's writer
	polling  bool          // a poll waits
	probing  bool          // a WebSocket has been accepted beside polling
	upgraded bool          // the WebSocket carries the session
	closing  bool          // the next poll gets the close packet
	over     Reason
	timer    *time.Timer // revision 4: the next ping, or the end for want of a pong; 3: the end for want of a ping
}

// newSession makes a session and queues what it says first.
func (n *Node) newSession(q engineio.Query, sid string) *session {
	s := &session{
		id: sid, version: q.Version, wakePoll: make(chan struct{}, 1), wakeSend: make(chan struct{}, 1),
		binary: !q.Base64 && q.JSONP == "", upgraded: q.Transport == engineio.WebSocket,
	}
	upgrades := []string{}
	if q.Transport == engineio.Polling && !n.o.NoUpgrades {
		upgrades = append(upgrades, "websocket")
	}
	open, _ := json.Marshal(struct {
		SID          string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"`
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int64    `json:"maxPayload"`
	}{sid, upgrades, n.o.PingInterval.Milliseconds(), n.o.PingTimeout.Milliseconds(), n.o.MaxPayload})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sessions[sid] = s
	s.pushLocked(packet{kind: '0', data: open})
	if n.o.Greeting != "" {
		s.pushLocked(packet{kind: '4', data: []byte(n.o.Greeting)})
	}
	if s.version == 4 {
		s.timer = time.AfterFunc(n.o.PingInterval, func() { n.ping(s) })
	} else {
		s.timer = time.AfterFunc(n.o.PingInterval+n.o.PingTimeout, func() { n.end(s, PingTimeout) })
	}
	n.changeLocked()
	return s
}

// ping sends a ping of revision 4 and waits for its pong.
func (n *Node) ping(s *session) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.over != "" {
		return
	}
	s.pushLocked(packet{kind: '2'})
	s.timer = time.AfterFunc(n.o.PingTimeout, func() { n.end(s, PingTimeout) })
}

// pushLocked queues a packet for the client.
func (s *session) pushLocked(p packet) {
	s.queue = append(s.queue, p)
	s.wakeLocked()
}

func (s *session) wakeLocked() {
	for _, wake := range [...]chan struct{}{s.wakePoll, s.wakeSend} {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

func (n *Node) end(s *session, why Reason) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.endLocked(s, why)
}

// endLocked ends a session once: its first reason stays.
func (n *Node) endLocked(s *session, why Reason) {
	if s.over != "" {
		return
	}
	s.over = why
	s.timer.Stop()
	delete(n.sessions, s.id)
	n.ended[s.id] = why
	s.wakeLocked()
	n.changeLocked()
}

// receive handles packets from the client, in order, until one ends the session.
func (n *Node) receive(s *session, packets []packet) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range packets {
		if s.over != "" {
			return
		}
		n.receiveLocked(s, p)
	}
	n.changeLocked()
}

func (n *Node) receiveLocked(s *session, p packet) {
	switch {
	case p.kind == '1':
		n.endLocked(s, ClientClosed)
	case p.kind == '2' && s.version == 3:
		s.timer.Reset(n.o.PingInterval + n.o.PingTimeout)
		s.pushLocked(packet{kind: '3', data: p.data})
	case p.kind == '3' && s.version == 4:
		s.timer.Stop()
		s.timer = time.AfterFunc(n.o.PingInterval, func() { n.ping(s) })
	case p.kind == '4':
		n.messages[s.id] = append(n.messages[s.id], string(p.data))
		if !n.o.Silent {
			s.pushLocked(p)
		}
	case p.kind == '2' || p.kind == '3':
		// Nodes end a session for a heartbeat in the wrong direction.
		n.endLocked(s, BadPayload)
	}
}

// randomSID makes a sid as Node does: 15 bytes in URL-safe base64.
func randomSID() string {
	var b [15]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
