package adapter

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/adapter/internal/wire"
)

const (
	readCount = 100
	readBlock = 5 * time.Second
	// stall is how long an event of this node waits for its offset before it goes to the node's own clients without.
	stall = 500 * time.Millisecond
)

// entry is one message on its way into the stream, or only in line behind those that are.
type entry struct {
	bus     *streams
	kind    wire.Kind
	values  []any               // nil: not for the stream
	deliver func(offset string) // nil: was delivered at once
	stored  bool                // the client may name it as the last that it has seen
	seq     string
	since   time.Time
}

// stream is the Redis stream that all namespaces of a server share. One goroutine writes in order, one reads; what
// clients of this node are to receive is handed over in the order of the stream.
type stream struct {
	hub    *hub
	client redis.UniversalClient // of the reader, which blocks
	owned  bool
	began  chan struct{} // closed when the reader knows where it starts
	order  serial        // deliveries

	mu     sync.Mutex
	queue  []*entry // to be written
	line   []*entry // to be delivered when they have been read back
	away   bool     // nothing waits for its offset
	closed bool
	wake   chan struct{}
	seq    uint64
	mark   string // id of an entry before all that are unsure
	spaces map[string][]*streams
}

func newStream(h *hub) *stream {
	s := &stream{
		hub: h, began: make(chan struct{}), wake: make(chan struct{}, 1), mark: "0-0", spaces: make(map[string][]*streams),
	}
	s.client, s.owned = dedicated(h.client)
	return s
}

func (s *stream) join(b *streams) {
	t := time.NewTimer(subscribeWait)
	defer t.Stop()
	s.mu.Lock()
	name := b.node.Nsp().Name()
	s.spaces[name] = append(s.spaces[name], b)
	s.mu.Unlock()
	select {
	case <-s.began:
	case <-t.C:
	}
}

func (s *stream) leave(b *streams) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := b.node.Nsp().Name()
	list := s.spaces[name]
	for i, e := range list {
		if e == b {
			s.spaces[name] = append(list[:i:i], list[i+1:]...)
		}
	}
	if len(s.spaces[name]) == 0 {
		delete(s.spaces, name)
	}
}

// put queues an entry and returns at once.
func (s *stream) put(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.deliver != nil {
		if s.away || e.values == nil && len(s.line) == 0 {
			s.order.run(func() { e.deliver("") })
		} else {
			e.since = time.Now()
			if s.line = append(s.line, e); len(s.line) == 1 {
				time.AfterFunc(stall, s.check)
			}
		}
	}
	if e.values == nil {
		return
	}
	if s.closed {
		s.lose(lostClosed, 1)
		return
	}
	s.seq++
	e.seq = strconv.FormatUint(s.seq, 10)
	e.values = append(e.values, "seq", e.seq)
	if len(s.queue) >= s.hub.opts.Queue {
		s.queue = s.queue[1:]
		s.lose(lostOverflow, 1)
	}
	s.queue = append(s.queue, e)
	s.wakeUp()
}

func (s *stream) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *stream) lose(reason string, n int) {
	s.hub.opts.Metrics.lost.WithLabelValues(reason).Add(float64(n))
}

// waiting tells whether events of b wait for their offset.
func (s *stream) waiting(b *streams) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.line {
		if e.bus == b {
			return true
		}
	}
	return false
}

// check ends the waiting of this node's clients when Redis does not answer.
func (s *stream) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.line) == 0 {
		return
	}
	if left := stall - time.Since(s.line[0].since); left > 0 {
		time.AfterFunc(left, s.check)
		return
	}
	s.flush()
}

// flush delivers what waits, without offsets. mu is held.
func (s *stream) flush() {
	s.away = true
	for _, e := range s.line {
		s.order.run(func() { e.deliver("") })
	}
	s.line = nil
}

// own delivers the event of this node that was read back as entry id, with those in line that are not in the stream.
func (s *stream) own(uid, seq, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := -1
	for i, e := range s.line {
		if e.seq == seq && e.values != nil && e.bus.node.uid == uid {
			at = i
			break
		}
	}
	if at < 0 {
		return // it was delivered while Redis was away
	}
	for at+1 < len(s.line) && s.line[at+1].values == nil {
		at++
	}
	for _, e := range s.line[:at+1] {
		offset := ""
		if e.seq == seq && e.stored {
			offset = id
		}
		s.order.run(func() { e.deliver(offset) })
	}
	if s.line = s.line[at+1:]; len(s.line) > 0 {
		return
	}
	s.line = nil
}

func (s *stream) take(ctx context.Context) []*entry {
	for {
		s.mu.Lock()
		n := min(len(s.queue), batchItems)
		batch := s.queue[:n:n]
		s.queue = s.queue[n:]
		closed := s.closed
		s.mu.Unlock()
		if n > 0 || closed {
			return batch
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// write appends to the stream until ctx ends, or until the stream is closed and all is written. An entry whose fate is
// unknown is looked up before it is written again.
func (s *stream) write(ctx context.Context) {
	var wait backoff
	for {
		batch := s.take(ctx)
		if len(batch) == 0 {
			return
		}
		for len(batch) > 0 {
			rest, unsure, err := s.append(ctx, batch)
			if batch = rest; err == nil {
				break
			}
			s.mu.Lock()
			if !s.away {
				s.hub.opts.Logger.Warn("redis is away: entries are kept", slog.Any("error", err))
			}
			s.flush()
			s.mu.Unlock()
			for {
				if !wait.wait(ctx) {
					s.lose(lostClosed, len(batch))
					return
				}
				if !unsure {
					break
				}
				if batch, err = s.missing(ctx, batch); err == nil {
					break
				}
			}
		}
		wait.reset()
		s.mu.Lock()
		s.away = false
		s.mu.Unlock()
	}
}

// append adds entries in order. It returns those that are not known to be in the stream, and whether some of them may be.
func (s *stream) append(ctx context.Context, batch []*entry) (rest []*entry, unsure bool, err error) {
	pipe := s.hub.client.Pipeline()
	for _, e := range batch {
		pipe.XAdd(ctx, &redis.XAddArgs{
			Stream: s.hub.opts.Stream, MaxLen: s.hub.opts.MaxLen, Approx: true, Values: e.values,
		})
	}
	cmds, execErr := pipe.Exec(ctx)
	if len(cmds) < len(batch) {
		return batch, false, execErr
	}
	for i, cmd := range cmds {
		switch outcomeOf(cmd.Err()) {
		case done:
			s.hub.opts.Metrics.published.WithLabelValues(batch[i].kind.String()).Inc()
			if x, ok := cmd.(*redis.StringCmd); ok && len(rest) == 0 {
				s.mark = x.Val()
			}
		case again:
			rest, err = append(rest, batch[i]), cmd.Err()
		case refused:
			s.lose(lostRefused, 1)
			s.hub.opts.Logger.Error("redis refused an entry", slog.Any("error", cmd.Err()))
		case unknown:
			rest, unsure, err = append(rest, batch[i]), true, cmd.Err()
		}
	}
	return rest, unsure, err
}

// missing returns those of batch that are not in the stream behind the mark.
func (s *stream) missing(ctx context.Context, batch []*entry) ([]*entry, error) {
	found := make(map[[2]string]bool)
	from := s.mark
	for {
		list, err := s.hub.client.XRangeN(ctx, s.hub.opts.Stream, "("+from, "+", 1000).Result()
		if err != nil {
			return batch, err
		}
		for _, x := range list {
			uid, _ := x.Values["uid"].(string)
			seq, _ := x.Values["seq"].(string)
			found[[2]string{uid, seq}] = true
			from = x.ID
		}
		if len(list) < 1000 {
			break
		}
	}
	var rest []*entry
	for _, e := range batch {
		if !found[[2]string{e.bus.node.uid, e.seq}] {
			rest = append(rest, e)
		} else {
			s.hub.opts.Metrics.published.WithLabelValues(e.kind.String()).Inc()
		}
	}
	return rest, nil
}

// close lets write end when all is written.
func (s *stream) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wakeUp()
}
