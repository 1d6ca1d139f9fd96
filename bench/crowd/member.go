package crowd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The defaults of socket.io-client's Manager, and of an Engine.IO session.
const (
	patience = 20 * time.Second // timeout
	firstGap = time.Second      // reconnectionDelay
	mostGap  = 5 * time.Second  // reconnectionDelayMax
	jitter   = 0.5              // randomizationFactor
	silence  = 45 * time.Second // pingInterval + pingTimeout
)

// period is the time between two messages of a live client.
const period = time.Second

var (
	errPatience = errors.New("no session in 20 s")
	errSilent   = errors.New("no ping in 45 s")
	errClosed   = errors.New("close packet")
)

// member is one client.
type member struct {
	crowd *crowd
	talks bool // sends messages
	polls line // its handshakes and polls
	posts line // its POSTs, which go beside a waiting poll

	mu   sync.Mutex
	back bool        // has a session that has joined
	lost bool        // has lost one in a flood
	due  []time.Time // of the messages that are not back yet
	next time.Time   // when a message is due that has not been sent; for write, and for after a session's end
}

func newMember(c *crowd, i int) *member {
	from := net.IPv4(127, byte(16+i>>14), byte(i>>7&127), byte(1+i&127))
	talks := c.job.Kind != Storm
	l := line{addr: c.job.Addr, from: from, fresh: talks && i%2 == 1}
	return &member{crowd: c, talks: talks, polls: l, posts: l}
}

// run connects, and connects again after each error, until ctx ends.
func (m *member) run(ctx context.Context) {
	defer m.close()
	for attempt := 0; ; attempt++ {
		sid, err := m.connect(ctx)
		if err == nil {
			attempt = 0 // the Manager's onclose
			err = m.session(ctx, sid)
		}
		if ctx.Err() != nil {
			m.unanswered()
			return
		}
		m.close()
		m.crowd.failed(m, err)
		select {
		case <-time.After(gap(attempt)):
		case <-ctx.Done():
			return
		}
	}
}

func (m *member) close() {
	m.polls.close()
	m.posts.close()
}

// gap is the pause before a connection is tried again, as backo2 counts it.
func gap(attempt int) time.Duration {
	d := float64(firstGap) * math.Pow(2, float64(attempt))
	d *= 1 + jitter*(2*rand.Float64()-1)
	return time.Duration(min(d, float64(mostGap)))
}

// connect does a handshake.
func (m *member) connect(ctx context.Context) (sid string, err error) {
	ctx, stop := context.WithTimeoutCause(ctx, patience, errPatience)
	defer stop()
	body, err := m.polls.do(ctx, http.MethodGet, "", "")
	if err != nil {
		return "", err
	}
	sid, err = openedSID(body)
	if err == nil {
		m.crowd.opened()
	}
	return sid, err
}

// openedSID finds the sid in a payload that begins with an open packet.
func openedSID(payload string) (string, error) {
	packet, _, _ := strings.Cut(payload, "\x1e")
	var open struct{ SID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(packet, "0")), &open); err != nil || open.SID == "" {
		return "", fmt.Errorf("no open packet in %q", packet)
	}
	return open.SID, nil
}

// session joins the namespace and lives until an error ends the session.
func (m *member) session(ctx context.Context, sid string) error {
	ctx, end := context.WithCancelCause(ctx)
	out := make(chan string, 4)
	out <- "40"
	var wg sync.WaitGroup
	wg.Go(func() { end(m.write(ctx, sid, out)) })
	end(m.read(ctx, sid, out))
	wg.Wait()
	return context.Cause(ctx)
}

// read keeps a poll waiting.
func (m *member) read(ctx context.Context, sid string, out chan<- string) error {
	for {
		payload, err := m.poll(ctx, sid)
		if err != nil {
			return err
		}
		for packet := range strings.SplitSeq(payload, "\x1e") {
			switch {
			case packet == "2":
				out <- "3"
			case packet == "1":
				return errClosed
			case strings.HasPrefix(packet, "4"):
				m.heard()
			}
		}
	}
}

func (m *member) poll(ctx context.Context, sid string) (string, error) {
	ctx, stop := context.WithTimeoutCause(ctx, silence, errSilent)
	defer stop()
	return m.polls.do(ctx, http.MethodGet, "&sid="+sid, "")
}

// write sends what is to be sent, and a message each period if m talks.
func (m *member) write(ctx context.Context, sid string, out <-chan string) error {
	m.next = time.Now().Add(time.Duration((1 + rand.Float64()) * float64(period)))
	for {
		var talk <-chan time.Time
		if m.talks {
			talk = time.After(time.Until(m.next))
		}
		var body string
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case body = <-out:
		case <-talk:
			body = "42hello"
			m.said()
		}
		if _, err := m.posts.do(ctx, http.MethodPost, "&sid="+sid, body); err != nil {
			return err
		}
	}
}

// said moves a message from those to be sent to those to come back.
func (m *member) said() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.due = append(m.due, m.next)
	m.next = m.next.Add(period)
}

// unanswered counts, at the end, the messages that are not back or could not even be sent by what they have waited.
func (m *member) unanswered() {
	if !m.talks || !m.back {
		return
	}
	for now := time.Now(); m.next.Before(now); {
		m.said()
	}
	for _, due := range m.due {
		m.crowd.waited(time.Since(due), 0)
	}
}

// heard is called for each message: the first tells that m has joined, the others are echoes.
func (m *member) heard() {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.back:
		m.back = true
		m.crowd.joined(1)
	case len(m.due) > 0:
		m.crowd.waited(time.Since(m.due[0]), 1)
		m.due = m.due[1:]
	}
}

// left forgets the session, and reports whether there was one and whether it is the first that m lost.
func (m *member) left() (was, first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was, first = m.back, m.back && !m.lost
	m.back, m.lost, m.due = false, m.lost || m.back, nil
	return was, first
}
