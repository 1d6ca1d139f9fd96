//go:build linux

package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// separator stands between the packets of a body.
const separator = "\x1e"

// handshake makes the session. Of one that comes to nothing it tells where it was, "" where no front accepted it, and the status of
// the answer, 0 where there was none.
func (s *session) handshake(ctx context.Context) (front string, status int, err error) {
	if s.c.mode == websockets {
		return s.connect(ctx)
	}
	k, err := s.c.links.take(ctx, false)
	if err != nil {
		return "", 0, err
	}
	defer context.AfterFunc(ctx, func() { _ = k.Close() })()
	a, err := k.exchange(request{method: http.MethodGet, target: s.c.target(polling, "")})
	if err != nil {
		return k.front, 0, fmt.Errorf("handshake through %s: %w", k.front, err)
	}
	if a.status != http.StatusOK {
		return k.front, a.status, fmt.Errorf("handshake through %s: %.100q", k.front, a.body)
	}
	s.finish(k, a)
	return k.front, a.status, s.opened(a.body)
}

// opened reads the open packet, which comes alone: Socket.IO's nodes send nothing before CONNECT.
func (s *session) opened(packet string) error {
	var open struct {
		SID          string
		Upgrades     []string
		PingInterval time.Duration
		PingTimeout  time.Duration
	}
	text, found := strings.CutPrefix(packet, "0")
	if err := json.Unmarshal([]byte(text), &open); !found || err != nil || open.SID == "" {
		return fmt.Errorf("open packet %.200q", packet)
	}
	s.sid = open.SID
	s.upgrades = len(open.Upgrades) > 0
	s.silence = (open.PingInterval + open.PingTimeout) * time.Millisecond
	return nil
}

// poll asks for packets until the session ends or pauses for its upgrade.
func (s *session) poll() {
	defer close(s.polled)
	if s.c.mode == upgrade && s.upgrades {
		s.running.Go(s.upgrade)
	}
	s.running.Go(s.post)
	for s.life.Err() == nil && s.paused.Err() == nil {
		a, ok := s.request(request{method: http.MethodGet, target: s.c.target(polling, s.sid)})
		if !ok {
			return
		}
		for packet := range strings.SplitSeq(a.body, separator) {
			if !s.hear(packet) {
				return
			}
		}
	}
}

// post sends what is queued until the session ends or pauses.
func (s *session) post() {
	defer close(s.posted)
	for {
		select {
		case <-s.life.Done():
			return
		case <-s.paused.Done():
			return
		case <-s.wake:
		}
		packets := s.take()
		if len(packets) == 0 {
			continue
		}
		a, ok := s.request(request{
			method: http.MethodPost, target: s.c.target(polling, s.sid),
			body: strings.Join(packets, separator), split: s.c.chance(0.3),
		})
		if !ok {
			return
		}
		if a.body != "ok" {
			s.end(fmt.Sprintf("POST answered with %.40q", a.body))
			return
		}
	}
}

// request sends a request of the session once. Whatever comes but 200 ends the session, as it does with the reference client.
func (s *session) request(r request) (answer, bool) {
	k, err := s.c.links.take(s.life, s.c.chance(s.c.r.crowd.Fresh))
	if err != nil {
		s.end(fmt.Sprintf("%s: %v", r.method, err))
		return answer{}, false
	}
	defer s.begun(k.front, r.method == http.MethodGet)()
	a, err := k.exchange(r)
	switch {
	case err != nil:
		s.end(fmt.Sprintf("%s: %v", r.method, err))
	case a.status != http.StatusOK:
		s.end(fmt.Sprintf("%s answered %d %.60q", r.method, a.status, a.body))
	default:
		s.finish(k, a)
		return a, true
	}
	s.c.links.drop(k)
	return answer{}, false
}

// finish keeps the connection for the next request, where it may be kept.
func (s *session) finish(k *link, a answer) {
	if a.last {
		s.c.links.drop(k.Conn)
		return
	}
	s.c.links.keep(k)
}
