package affinity

import (
	"context"
	"errors"
	"time"
)

// This file is for sessions that go on at another node, whose bindings change.

// Refresh is Glance for a session that may have been bound anew since it became known here, and has what the store says known here.
func (c *Cached) Refresh(ctx context.Context, sid string) (Binding, error) {
	b, err := c.Glance(ctx, sid)
	if err != nil {
		return b, err
	}
	if known, ok := c.front.peek(sid); ok && !known.sameFact(b) {
		c.front.drop(sid)
	}
	return b, c.front.put(sid, b, b.Expires.Sub(c.front.start))
}

// Renew is Bind for a binding that is due and that may have been bound anew since it became known here: what the store says now is kept for longer,
// and returned. To write what is known here would have the session live where it lived before. Where the store knows none, Bind writes it.
func (c *Cached) Renew(ctx context.Context, sid string, b Binding) (Binding, error) {
	p := c.phase.Load()
	if !p.state.reads() || !p.state.writes() {
		return b, c.Bind(ctx, sid, b) // which keeps it
	}
	now, err := c.back.Renew(context.WithoutCancel(ctx), sid, b.TTL())
	switch {
	case err == nil:
		c.front.replace(sid, now, now.Expires.Sub(c.front.start))
		c.tell(Stored)
		return now, nil
	case errors.Is(err, ErrNotFound):
		return b, c.Bind(ctx, sid, b)
	}
	c.tell(Failed)
	return b, c.keep(sid, b, c.fail(p, err))
}

// Rebind binds a sid anew whose session goes on at another node, whatever is known of it here or in the store. An error is ErrUnavailable,
// as that of Bind.
func (c *Cached) Rebind(ctx context.Context, sid string, b Binding) error {
	c.mu.Lock()
	delete(c.kept, sid)
	c.mu.Unlock()
	p := c.phase.Load()
	err := p.why()
	if p.state.writes() {
		anew := b
		anew.Expires = time.Now() // so that it is written as a renewal is, over what is there
		err = c.back.Bind(context.WithoutCancel(ctx), sid, anew)
	}
	c.front.replace(sid, b, time.Since(c.front.start)+b.TTL()) // a Refresh may have had the answer from before
	switch {
	case err == nil:
		c.tell(Stored)
		return nil
	case p.state.writes():
		c.tell(Failed)
		err = c.fail(p, err)
	}
	return c.keep(sid, b, err)
}
