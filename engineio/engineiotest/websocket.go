package engineiotest

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/engineio"
)

// noopEvery is how often a node ends a session's poll while its upgrade is under way (engine.io, lib/socket.ts).
const noopEvery = 100 * time.Millisecond

// serveWebSocket accepts an upgrade of s, or a direct connect where s is nil, and carries it to its end.
func (n *Node) serveWebSocket(w http.ResponseWriter, r *http.Request, q engineio.Query, s *session) {
	if s != nil && n.o.NoUpgrades {
		refuse(w, true, engineio.ErrBadRequest)
		return
	}
	// The response carries our CORS headers already; the Origin is anybody's.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(n.o.MaxPayload)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if s == nil {
		s = n.newSession(q, n.o.SID())
	} else if !n.probe(ctx, conn, s) {
		return
	}
	var writing sync.WaitGroup
	writing.Go(func() { n.write(ctx, conn, s) })
	n.read(ctx, conn, s)
	cancel()
	writing.Wait()
}

// probe carries an upgrade out: 2probe, 3probe, 5 (Engine.IO protocol 4, "Upgrade"). It reports whether the session
// has moved to the WebSocket.
func (n *Node) probe(ctx context.Context, conn *websocket.Conn, s *session) bool {
	n.mu.Lock()
	busy := s.probing || s.upgraded
	s.probing = true
	n.mu.Unlock()
	if busy {
		conn.Close(websocket.StatusNormalClosure, "")
		return false
	}
	defer func() {
		n.mu.Lock()
		s.probing = false
		n.mu.Unlock()
	}()
	_, message, err := conn.Read(ctx)
	if err != nil || string(message) != engineio.ProbePing {
		return false
	}
	if conn.Write(ctx, websocket.MessageText, []byte(engineio.ProbePong)) != nil {
		return false
	}
	var releasing sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	releasing.Go(func() { n.releasePolls(ctx, s) })
	_, message, err = conn.Read(ctx)
	cancel()
	releasing.Wait()
	if err != nil || string(message) != engineio.PacketUpgrade {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	s.upgraded = true
	s.wakeLocked()
	n.changeLocked()
	return s.over == ""
}

// releasePolls ends each poll with a noop until ctx ends.
func (n *Node) releasePolls(ctx context.Context, s *session) {
	ticker := time.NewTicker(noopEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		n.mu.Lock()
		if s.polling && len(s.queue) == 0 {
			s.pushLocked(packet{kind: '6'})
		}
		n.mu.Unlock()
	}
}

// read takes messages until the WebSocket or the session ends.
func (n *Node) read(ctx context.Context, conn *websocket.Conn, s *session) {
	for {
		kind, message, err := conn.Read(ctx)
		if err != nil {
			n.end(s, WebSocketClosed)
			return
		}
		p, err := parseMessage(kind, message, s.version)
		if err != nil {
			n.end(s, BadPayload)
			return
		}
		n.receive(s, []packet{p})
	}
}

func parseMessage(kind websocket.MessageType, message []byte, version int) (packet, error) {
	switch {
	case kind == websocket.MessageText:
		return parseText(string(message), version)
	case version == 4:
		return packet{kind: '4', data: message, binary: true}, nil
	case len(message) == 0:
		return packet{}, errPayload
	}
	return packet{kind: message[0] + '0', data: message[1:], binary: true}, nil
}

// write sends what is queued until the WebSocket or the session ends, and then closes the WebSocket.
func (n *Node) write(ctx context.Context, conn *websocket.Conn, s *session) {
	defer conn.CloseNow()
	for {
		n.mu.Lock()
		packets, over := s.queue, s.over
		s.queue = nil
		n.mu.Unlock()
		for _, p := range packets {
			if writePacket(ctx, conn, p, s.version) != nil {
				return
			}
		}
		if over != "" {
			if over != NodeDown {
				conn.Close(websocket.StatusNormalClosure, "")
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wakeSend:
		}
	}
}

func writePacket(ctx context.Context, conn *websocket.Conn, p packet, version int) error {
	if !p.binary {
		return conn.Write(ctx, websocket.MessageText, []byte(p.text(version)))
	}
	data := p.data
	if version == 3 {
		data = append([]byte{4}, data...)
	}
	return conn.Write(ctx, websocket.MessageBinary, data)
}
