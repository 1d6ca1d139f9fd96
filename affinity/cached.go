package affinity

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Outcome is what became of one binding in one operation of Cached, or in Memory.
type Outcome uint8

// The outcomes.
const (
	Stored        Outcome = iota // Bind: the store acknowledged it
	Kept                         // Bind: the store could not be written; kept here, to be written when it can
	Hit                          // Lookup: known here
	Read                         // Lookup: read from the store
	Unknown                      // Lookup: neither here nor in the store
	Unanswered                   // Lookup: unknown here, and the store could not be asked or cannot be believed; a held request looks again, and counts again
	Republished                  // written again because the store may have lost it
	Taken                        // Bind: the sid lives on another node, so it was not bound
	Evicted                      // of Memory: it lives and had been looked up, but had to make room
	EvictedUnused                // of Memory: it lives, but nobody had looked it up, and it had to make room
	Lost                         // Bind: a renewal found that the store had lost it
	Broken                       // Lookup: what the store has of the sid cannot be read
	Failed                       // an operation met a failure of the store
)

// String returns the outcome's name, a metric label.
func (o Outcome) String() string {
	return [...]string{"stored", "kept", "hit", "read", "unknown", "unanswered", "republished", "taken", "evicted", "evicted_unused", "lost", "broken", "failed"}[o]
}

// CachedOptions are the hooks of a Cached. They may be nil; they are called concurrently and must not block.
type CachedOptions struct {
	OnOutcome func(Outcome)
	// OnState: a new state has begun, because of an error or without one. It is called again in Down for an ErrDenied, ErrSlow or
	// ErrHangs that shows itself only then, and in Up when the store has answered for the first time.
	OnState func(State, error)
	// OnTaken: a binding to the node refused, which was kept while the store could not be written, is given up because
	// another replica has bound the sid to node. A Bind that fails for that reason says so itself.
	OnTaken func(refused, node string)
	// Ready has it count as ready before the store has answered: it takes the place of another in a process that serves.
	Ready bool
}

// maxKept bounds the list of what is written first when the store is back. What finds no place in it is still in
// front, and follows with what is published again.
const maxKept = 1 << 16

var _ Store = (*Cached)(nil)

// Cached is a Store that keeps in a Memory what it learns from a shared one. Absence is never cached.
//
// It has a breaker: after one failure to reach the store, or one answer that was late and a Probe in vain, operations do not wait
// for it but return at once, sids known here go on, and new bindings are kept here. Run notices when the store is back, writes first what was kept, and then,
// paced, what the store may have lost. So Run must be running.
//
// That the store does not know a sid is believed only when it says so twice, 300 ms apart, and a Probe after that shows
// that it has lost nothing: the one answer that takes longer than 100 ms, since it ends a session.
// For some seconds after a loss or an outage, while replicas write what the store lacks, such a Lookup returns
// ErrUnavailable, and the caller may hold the request and look again.
type Cached struct {
	front *Memory
	back  Back
	o     CachedOptions

	lookups, binds flights
	vain           vain
	phase          atomic.Pointer[phase]
	lost           atomic.Bool   // a Probe showed a loss that Run has not dealt with
	wake           chan struct{} // rouses Run
	probing        chan struct{} // holds one token: the right to Probe
	probes         atomic.Uint64 // Probes begun
	proof          atomic.Uint64 // the last of them that found the store intact

	unready atomic.Pointer[error] // why the store has been of no use so far; nil once it was

	mu     sync.Mutex
	kept   map[string]struct{} // sids in front that the store has not acknowledged
	intact time.Time           // when the last Probe that found the store intact began
}

// NewCached returns a Cached that has front and uses back. Nothing else may bind in front. What is in front already, of another
// store, is published, and until then back is not believed where it does not know a sid.
func NewCached(front *Memory, back Back, o CachedOptions) *Cached {
	c := &Cached{
		front: front, back: back, o: o,
		wake:    make(chan struct{}, 1),
		probing: make(chan struct{}, 1),
		kept:    make(map[string]struct{}),
	}
	c.phase.Store(newPhase(Up))
	if front.Len() > 0 {
		c.phase.Store(newPhase(Recovering))
		c.lost.Store(true)
	}
	if !o.Ready {
		c.unready.Store(&errNotAsked)
	}
	return c
}

// errNotAsked is why a Cached is not ready before its first Probe.
var errNotAsked = errors.New("affinity: the store has not answered yet")

// Ready returns nil once the store behind has been reached and has granted all that is asked of it, and before that the
// last reason why it did not. A store that goes down later is no reason: what is known here goes on.
func (c *Cached) Ready() error {
	if err := c.unready.Load(); err != nil {
		return *err
	}
	return nil
}

// Fault returns nil while the store behind is read and written, and otherwise why it is not.
func (c *Cached) Fault() error {
	if err := c.Ready(); err != nil {
		return err
	}
	return c.phase.Load().cause
}

// State returns what the store behind may be asked for now.
func (c *Cached) State() State { return c.phase.Load().state }

// Down reports whether look-ups of sids unknown here fail at once.
func (c *Cached) Down() bool { return !c.State().reads() }

// Again returns a channel that is closed when a Lookup that returned ErrUnavailable is worth repeating: at once where
// nothing is wrong now. Ask for it anew each time.
func (c *Cached) Again() <-chan struct{} { return c.phase.Load().again }

// Bind implements Store. An ErrUnavailable means that the binding is kept here and will be written when the store is
// back, so the caller goes on. A renewal (b.Expires is set, from Lookup) that another call has just made is not made
// twice. A TakenError of the store is no failure of it. A caller whose context ends later gets the outcome all the same.
func (c *Cached) Bind(ctx context.Context, sid string, b Binding) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return waitFor(context.WithoutCancel(ctx), func(done func(error)) { c.BindThen(sid, b, done) })
}

// BindThen implements Store.
func (c *Cached) BindThen(sid string, b Binding, done func(error)) {
	if b.Expires.IsZero() { // a new session: nobody else binds it
		c.write(sid, b, done)
		return
	}
	own, first := c.binds.join(sid, func(wrote Binding, err error) {
		if !wrote.sameFact(b) {
			c.write(sid, b, done)
			return
		}
		done(err)
	})
	if first {
		c.write(own, b, func(err error) { c.binds.land(own, b, err) })
	}
}

func (c *Cached) write(sid string, b Binding, done func(error)) {
	if c.renewed(sid, b) {
		done(nil)
		return
	}
	if known, ok := c.front.peek(sid); ok && known.Node != b.Node {
		done(&TakenError{known.Node})
		return
	}
	p := c.phase.Load()
	if !p.state.writes() {
		done(c.keep(sid, b, p.why()))
		return
	}
	c.back.BindThen(sid, b, func(err error) { done(c.wrote(p, sid, b, err)) })
}

// wrote deals with what became of a binding that was to be written in phase p.
func (c *Cached) wrote(p *phase, sid string, b Binding, err error) error {
	if err != nil {
		if _, taken := errors.AsType[*TakenError](err); taken {
			return err
		}
		c.tell(Failed)
		return c.keep(sid, b, c.fail(p, err))
	}
	if err := c.put(sid, b); err != nil {
		return err
	}
	c.mu.Lock()
	delete(c.kept, sid)
	c.mu.Unlock()
	c.tell(Stored)
	return nil
}

// renewed reports whether b, which came from a Lookup, has been bound again since.
func (c *Cached) renewed(sid string, b Binding) bool {
	if b.Expires.IsZero() {
		return false
	}
	known, ok := c.front.peek(sid)
	return ok && known.sameFact(b) && known.Expires.After(b.Expires) && !known.Due(time.Now())
}

func (c *Cached) put(sid string, b Binding) error {
	return c.front.put(sid, b, time.Since(c.front.start)+b.TTL())
}

// keep puts b in front and on the list of what is to be written, and returns why it is not in the store.
func (c *Cached) keep(sid string, b Binding, why error) error {
	if err := c.put(sid, b); err != nil {
		return err
	}
	c.mu.Lock()
	if len(c.kept) < maxKept {
		c.kept[strings.Clone(sid)] = struct{}{}
	}
	c.mu.Unlock()
	c.tell(Kept)
	c.rouse()
	return why
}

// Known returns the binding of a sid that is known here. It asks nobody, never waits and does not allocate. False means
// that Lookup has to be asked.
func (c *Cached) Known(sid string) (Binding, bool) {
	b, ok := c.front.get(sid)
	if ok {
		c.tell(Hit)
	}
	return b, ok
}

// Lookup implements Store. A sid known here costs no allocation and no round trip; ErrNotFound takes 300 ms.
func (c *Cached) Lookup(ctx context.Context, sid string) (Binding, error) {
	if err := ctx.Err(); err != nil {
		return Binding{}, err
	}
	if b, ok := c.Known(sid); ok {
		return b, nil
	}
	return wait(ctx, func(done func(Binding, error)) { c.LookupThen(sid, done) })
}

// LookupThen implements Store.
func (c *Cached) LookupThen(sid string, done func(Binding, error)) {
	own, first := c.lookups.join(sid, done)
	if !first {
		return
	}
	p := c.phase.Load()
	c.look(p, own, func(b Binding, err error) {
		switch {
		case !errors.Is(err, ErrNotFound):
			c.lookups.land(own, b, err)
		case p.state != Up:
			c.tell(Unanswered)
			c.lookups.land(own, b, p.why())
		default:
			c.vain.add(own, c.secondLook)
		}
	})
}

// Glance is Lookup for one to whom a wrong ErrNotFound does little harm: it takes the store's first word, where the store
// is believed at all.
func (c *Cached) Glance(ctx context.Context, sid string) (Binding, error) {
	p := c.phase.Load()
	if p.state != Up {
		return Binding{}, p.why()
	}
	b, err := c.back.Lookup(ctx, sid)
	if err == nil || errors.Is(err, ErrNotFound) || ctx.Err() != nil {
		return b, err
	}
	c.tell(Failed)
	return Binding{}, c.fail(p, err)
}

// look looks once, in phase p. ErrNotFound means that the store says so.
func (c *Cached) look(p *phase, sid string, done func(Binding, error)) {
	if b, ok := c.Known(sid); ok {
		done(b, nil)
		return
	}
	if !p.state.reads() {
		c.tell(Unanswered)
		done(Binding{}, p.why())
		return
	}
	c.back.LookupThen(sid, func(b Binding, err error) {
		switch {
		case err == nil:
			_ = c.front.put(sid, b, b.Expires.Sub(c.front.start)) // it was not here a moment ago
			c.front.get(sid)                                      // so that it counts as used
			c.tell(Read)
		case !errors.Is(err, ErrNotFound):
			c.tell(Failed)
			c.tell(Unanswered)
			err = c.fail(p, err)
		}
		done(b, err)
	})
}

// probe asks the store how it is and acts on the answer. The caller holds the token of probing.
func (c *Cached) probe(ctx context.Context, p *phase) error {
	n := c.probes.Add(1)
	begun := time.Now()
	intact, err := c.back.Probe(ctx)
	if err != nil {
		return c.fail(p, err)
	}
	if !intact {
		c.lost.Store(true)
		if p.state == Up {
			c.shift(p, Recovering, nil)
		}
		c.rouse()
		return nil
	}
	c.unready.Store(nil)
	first := c.proof.Swap(n) == 0
	c.mu.Lock()
	c.intact = begun
	c.mu.Unlock()
	if first && p.state == Up && c.o.OnState != nil { // else a shift to Up tells of it
		c.o.OnState(Up, nil)
	}
	return nil
}

// Unbind implements Store. What could not be unbound in the store expires there by itself.
func (c *Cached) Unbind(ctx context.Context, sid string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.front.drop(sid)
	c.mu.Lock()
	delete(c.kept, sid)
	c.mu.Unlock()
	p := c.phase.Load()
	if !p.state.writes() {
		return p.why()
	}
	if err := c.back.Unbind(context.WithoutCancel(ctx), sid); err != nil {
		c.tell(Failed)
		return c.fail(p, err)
	}
	return nil
}

func (c *Cached) tell(o Outcome) {
	if c.o.OnOutcome != nil {
		c.o.OnOutcome(o)
	}
}

// rouse makes Run look at what there is to do.
func (c *Cached) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
