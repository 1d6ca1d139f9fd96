package affinity

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// A loss that no operation met is found within beatEvery; while something is wrong the beat is faster.
	beatEvery    = time.Second
	anxiousEvery = 250 * time.Millisecond
	// Probes of a store that is down begin soon and slow down to anxiousEvery.
	firstProbe = 50 * time.Millisecond
	// What is published again goes in batches, one at a time. Resting for a multiple of what the last batch took keeps
	// the load that many replicas make together bounded, and yields to a store that is slow.
	batchSize   = 256
	restFactor  = 3
	minRest     = 5 * time.Millisecond
	scanPerRest = 16 * batchSize
	// After a loss the other replicas need a beat to notice it, and time to publish. Until this long after our own part
	// is done, what the store does not know is not believed to be unknown.
	doubtAfter = 2 * time.Second
)

// runner is the state of one Run.
type runner struct {
	*Cached
	next      time.Time     // no probe before
	explained bool          // why it is down, as far as that can be found out
	backoff   time.Duration // between probes while it is down; 0 otherwise
	todo      *republication
	rested    time.Time // no batch of todo before
	clear     time.Time // when doubt ends, once todo is nil
}

// Run watches the store behind: it probes it, writes what was kept, and publishes again what was lost. It blocks until
// ctx is done and returns nil. It must run once, and all the time that c is used.
func (c *Cached) Run(ctx context.Context) error {
	r := &runner{Cached: c}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-c.wake:
		}
		timer.Reset(r.step(ctx))
	}
}

// step does what is to be done now and returns how long there will be nothing more to do.
func (r *runner) step(ctx context.Context) time.Duration {
	p := r.phase.Load()
	if !p.state.writes() || p.state == WriteOnly {
		return r.recall(ctx, p)
	}
	r.backoff, r.explained = 0, false
	if p.late.Load() && !r.prove(ctx, p) {
		return minRest
	}
	if r.lost.Swap(false) {
		r.republish(time.Time{})
	}
	if r.flush(ctx, p) != nil {
		return minRest
	}
	if time.Until(r.next) <= 0 {
		r.beat(ctx, p)
		return 0
	}
	if r.todo == nil {
		return time.Until(r.next)
	}
	if time.Until(r.rested) <= 0 {
		r.publish(ctx, p)
	}
	return min(time.Until(r.next), time.Until(r.rested))
}

// recall tries to get a store back that is down.
func (r *runner) recall(ctx context.Context, p *phase) time.Duration {
	if r.backoff == 0 {
		r.backoff = firstProbe
		r.next = time.Now().Add(r.backoff)
	}
	if wait := time.Until(r.next); wait > 0 {
		return wait
	}
	r.backoff = min(2*r.backoff, anxiousEvery)
	r.next = time.Now().Add(r.backoff)
	r.mu.Lock()
	since := r.intact
	r.mu.Unlock()
	if err := r.check(ctx, p); err != nil {
		r.explain(ctx, p, err)
		return r.backoff
	}
	if !r.shift(p, WriteOnly, nil) {
		return 0
	}
	p = r.phase.Load()
	if r.lost.Swap(false) {
		since = time.Time{}
	}
	r.republish(since)
	if r.flush(ctx, p) == nil {
		// Even a store that lost nothing lacks what other replicas kept, until they have found it, too.
		r.shift(p, Recovering, nil)
	}
	return 0
}

// prove finds out by a Probe whether a store of which an answer was late is there.
func (r *runner) prove(ctx context.Context, p *phase) bool {
	err := r.check(ctx, p)
	switch {
	case err == nil:
		p.late.Store(false)
	case errors.Is(err, ErrLate):
		r.shift(p, Down, err)
	}
	return err == nil
}

// check makes a Probe of its own.
func (r *runner) check(ctx context.Context, p *phase) error {
	select {
	case r.probing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.probing }()
	return r.probe(ctx, p)
}

// beat probes a store that is in use.
func (r *runner) beat(ctx context.Context, p *phase) {
	every := beatEvery
	if p.state == Recovering {
		every = anxiousEvery
	}
	r.next = time.Now().Add(every)
	if r.check(ctx, p) != nil || p.state != Recovering {
		return
	}
	to := Recovering
	if r.todo == nil && time.Now().After(r.clear) && !r.lost.Load() {
		to = Up
	}
	r.shift(p, to, nil)
}

// flush writes all that was kept.
func (r *runner) flush(ctx context.Context, p *phase) error {
	for {
		batch := r.keptBatch()
		if len(batch) == 0 {
			return nil
		}
		taken, err := r.back.BindAll(ctx, batch)
		if err != nil {
			r.tell(Failed)
			return r.fail(p, err)
		}
		r.giveUp(batch, taken)
		r.mu.Lock()
		for _, e := range batch {
			delete(r.kept, e.SID)
		}
		r.mu.Unlock()
		for range len(batch) - len(taken) {
			r.tell(Stored)
		}
	}
}

// giveUp drops those of batch whose sids are taken, so that all replicas agree on the first.
func (r *runner) giveUp(batch, taken []Entry) {
	for _, there := range taken {
		r.front.drop(there.SID)
		i := slices.IndexFunc(batch, func(e Entry) bool { return e.SID == there.SID })
		if r.o.OnTaken != nil {
			r.o.OnTaken(batch[i].Binding.Node, there.Binding.Node)
		}
	}
}

func (r *runner) keptBatch() []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	var batch []Entry
	for sid := range r.kept {
		b, ok := r.front.peek(sid)
		if !ok {
			delete(r.kept, sid)
			continue
		}
		b.Expires = time.Time{} // it is not known to be in the store
		if batch = append(batch, Entry{sid, b}); len(batch) == batchSize {
			break
		}
	}
	return batch
}

// republish sets out to publish again what was bound since, but before now.
func (r *runner) republish(since time.Time) {
	if r.todo != nil && r.todo.since.Before(since) {
		since = r.todo.since // part of an earlier loss is still to be made good
	}
	r.todo = &republication{front: r.front, since: since, until: time.Now()}
}

// publish writes one batch of what is to be published again.
func (r *runner) publish(ctx context.Context, p *phase) {
	batch, more := r.todo.batch()
	began := time.Now()
	if len(batch) > 0 {
		// These are renewals, of which none is taken.
		if _, err := r.back.BindAll(ctx, batch); err != nil {
			r.tell(Failed)
			r.fail(p, err)
			r.todo.unsent = batch
			r.rested = time.Now().Add(minRest)
			return
		}
		for range batch {
			r.tell(Republished)
		}
	}
	r.rested = time.Now().Add(max(restFactor*time.Since(began), minRest))
	if !more {
		r.todo = nil
		r.clear = time.Now().Add(doubtAfter)
	}
}

// republication walks through the bindings in front.
type republication struct {
	front        *Memory
	since, until time.Time
	shard        int
	keys         []string
	unsent       []Entry
}

// batch returns the next bindings to publish and whether there may be more.
func (w *republication) batch() ([]Entry, bool) {
	batch := w.unsent
	w.unsent = nil
	if len(batch) > 0 {
		return batch, true
	}
	for range scanPerRest {
		for len(w.keys) == 0 {
			if w.shard == len(w.front.shards) {
				return batch, false
			}
			w.keys = w.front.keys(w.shard)
			w.shard++
		}
		sid := w.keys[0]
		w.keys = w.keys[1:]
		b, ok := w.front.peek(sid)
		if !ok || b.Unproven { // another replica may have proved it since, which this would take back
			continue
		}
		// What was bound after the store came back has been written there since.
		bound := b.Expires.Add(-b.TTL())
		if bound.Before(w.since) || bound.After(w.until) {
			continue
		}
		if batch = append(batch, Entry{sid, b}); len(batch) == batchSize {
			break
		}
	}
	return batch, true
}
