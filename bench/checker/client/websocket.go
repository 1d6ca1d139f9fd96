//go:build linux

package client

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/bench/checker/history"
)

// socket is a WebSocket and the front it goes through.
type socket struct {
	*websocket.Conn
	front string
}

// dial asks for a WebSocket, of the session sid or, without one, of a new session.
func (c *client) dial(ctx context.Context, sid string) (socket, int, error) {
	var dialed atomic.Value // of a dial that may outlive ctx
	dialed.Store("")
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, to, err := c.links.dial(ctx)
		dialed.Store(to)
		return conn, err
	}}
	conn, answer, err := websocket.Dial(ctx, "ws://checker"+c.target(websockets, sid), &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	front := dialed.Load().(string)
	if err != nil {
		status := 0
		if answer != nil {
			status = answer.StatusCode
		}
		return socket{front: front}, status, fmt.Errorf("websocket through %s: %w", front, err)
	}
	conn.SetReadLimit(-1)
	return socket{conn, front}, 0, nil
}

// read returns the next packet; there are only text frames, since the nodes send nothing binary to raw clients.
func (w socket) read(ctx context.Context) (string, error) {
	kind, data, err := w.Read(ctx)
	if err == nil && kind != websocket.MessageText {
		err = fmt.Errorf("a frame of %d bytes is binary", len(data))
	}
	return string(data), err
}

func (w socket) write(ctx context.Context, packet string) error {
	return w.Write(ctx, websocket.MessageText, []byte(packet))
}

// connect makes a session without polling.
func (s *session) connect(ctx context.Context) (front string, status int, err error) {
	w, status, err := s.c.dial(ctx, "")
	if err != nil {
		return w.front, status, err
	}
	packet, err := w.read(ctx)
	if err == nil {
		err = s.opened(packet)
	}
	if err != nil {
		_ = w.CloseNow()
		return w.front, 0, fmt.Errorf("websocket through %s: %w", w.front, err)
	}
	s.socket = w
	return w.front, 0, nil
}

// upgrade goes the way of the reference client: a probe beside the poll; then no new request of polling; then, when none is in
// flight any more, the packet that upgrades. What fails before that leaves the session as it was.
func (s *session) upgrade() {
	w, _, err := s.c.dial(s.life, s.sid)
	if err == nil {
		if err = s.probe(w); err != nil {
			_ = w.CloseNow()
		}
	}
	if s.life.Err() != nil {
		return
	}
	if err != nil {
		s.c.write(history.Event{Kind: history.Polling, SID: s.sid, Why: err.Error()})
		return
	}
	s.pause()
	for _, done := range []chan struct{}{s.polled, s.posted} {
		<-done
	}
	s.tunnel(w, "5")
}

func (s *session) probe(w socket) error {
	if err := w.write(s.life, "2probe"); err != nil {
		return fmt.Errorf("probe through %s: %w", w.front, err)
	}
	packet, err := w.read(s.life)
	if err == nil && packet != "3probe" {
		err = fmt.Errorf("answered with %.40q", packet)
	}
	if err != nil {
		return fmt.Errorf("probe through %s: %w", w.front, err)
	}
	return nil
}

// tunnel carries the session from now on, beginning with these packets.
func (s *session) tunnel(w socket, first ...string) {
	defer w.CloseNow()
	defer s.begun(w.front, true)()
	s.running.Go(func() { s.write(w, first) })
	if len(first) > 0 {
		s.c.write(history.Event{Kind: history.Upgraded, SID: s.sid})
	}
	for {
		packet, err := w.read(s.life)
		if err != nil {
			s.end(fmt.Sprintf("websocket: %v", err))
			return
		}
		if !s.hear(packet) {
			return
		}
	}
}

// write sends the first packets and then what is queued. Where it fails, reading fails too, and tells what there was to read.
func (s *session) write(w socket, packets []string) {
	for {
		for _, packet := range append(packets, s.take()...) {
			if w.write(s.life, packet) != nil {
				return
			}
		}
		packets = nil
		select {
		case <-s.life.Done():
			return
		case <-s.wake:
		}
	}
}
