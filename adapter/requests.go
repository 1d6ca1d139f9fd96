package adapter

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sidway/sidway/adapter/internal/wire"
	"github.com/zishang520/socket.io/v2/socket"
)

// ErrClosed is the outcome of a request that was waiting for other nodes when its adapter was closed.
var ErrClosed = errors.New("adapter: closed")

// TimeoutError is the outcome of a request to which not all nodes answered in time.
type TimeoutError struct{ Got, Want int }

// Error says how many of the expected answers came.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("adapter: timeout reached: only %d responses received out of %d", e.Got, e.Want)
}

// requests are the questions of one node that wait for answers, by request id.
type requests struct {
	mu     sync.Mutex
	closed bool
	asked  map[string]*asked
	acks   map[string]*ackRequest
	timers map[*time.Timer]struct{} // that forget clients which do not answer
}

// asked is a question that ends with the last expected answer.
type asked struct {
	want, got int
	done      chan struct{}
	answers
}

// answers is what the nodes said, as far as they did.
type answers struct {
	sockets []wire.Details
	rooms   []socket.Room
	values  []any
	err     error
}

// ackRequest is a broadcast whose acknowledgements come from other nodes; it ends with its timeout.
type ackRequest struct {
	count func(uint64)
	ack   func(any)
	timer *time.Timer
}

// ask sends m to the other nodes and waits until all have answered or the limit is over.
func (n *node) ask(m *wire.Message, limit time.Duration) answers {
	want := int(n.ServerCount()) - 1
	if want <= 0 {
		return answers{values: []any{}}
	}
	m.Request = newID()
	q := &asked{want: want, done: make(chan struct{}), answers: answers{values: []any{}}}
	if !n.requests.open(m.Request, q) {
		return answers{values: []any{}, err: ErrClosed}
	}
	n.bus.send(m, func(string) {})
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var err error
	select {
	case <-q.done:
	case <-timer.C:
		err = &TimeoutError{}
	case <-n.ctx.Done():
		err = ErrClosed
	}
	n.requests.mu.Lock()
	defer n.requests.mu.Unlock()
	delete(n.requests.asked, m.Request)
	var late *TimeoutError
	if errors.As(err, &late) {
		if q.got >= q.want {
			return q.answers // the last answer came together with the end of the time
		}
		late.Got, late.Want = q.got, q.want
		n.opts.Metrics.timeouts.Inc()
	}
	q.err = err
	return q.answers
}

func (r *requests) open(id string, q *asked) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	if r.asked == nil {
		r.asked = make(map[string]*asked)
	}
	r.asked[id] = q
	return true
}

// answered adds one answer to the question that it is for, if that still waits.
func (r *requests) answered(m *wire.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, ok := r.asked[m.Request]
	if !ok || q.got >= q.want {
		return
	}
	switch m.Kind {
	case wire.KindFetched:
		q.sockets = append(q.sockets, m.Sockets...)
	case wire.KindRoomsAnswer:
		q.rooms = append(q.rooms, m.Rooms...)
	case wire.KindServerSideAnswer:
		q.values = append(q.values, wire.AsArrived(m.Value))
	default:
		return
	}
	if q.got++; q.got == q.want {
		close(q.done)
	}
}

// expect keeps a for the acknowledgements of a request until its time is over.
func (r *requests) expect(id string, a *ackRequest, limit time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if r.acks == nil {
		r.acks = make(map[string]*ackRequest)
	}
	r.acks[id] = a
	a.timer = time.AfterFunc(limit, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.acks, id)
	})
}

// acknowledged passes a count or an acknowledgement of another node on.
func (r *requests) acknowledged(m *wire.Message) {
	r.mu.Lock()
	a, ok := r.acks[m.Request]
	r.mu.Unlock()
	if !ok {
		return
	}
	if m.Kind == wire.KindClientCount {
		a.count(m.Count)
	} else {
		a.ack(wire.AsArrived(m.Value))
	}
}

// after runs fn when the limit is over, or never if the node is closed before.
func (r *requests) after(limit time.Duration, fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if r.timers == nil {
		r.timers = make(map[*time.Timer]struct{})
	}
	var t *time.Timer
	t = time.AfterFunc(limit, func() {
		r.mu.Lock()
		delete(r.timers, t)
		r.mu.Unlock()
		fn()
	})
	r.timers[t] = struct{}{}
}

func (r *requests) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for t := range r.timers {
		t.Stop()
	}
	clear(r.timers)
	for id, a := range r.acks {
		a.timer.Stop()
		delete(r.acks, id)
	}
}
