package health

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// maxInFlight is how many probes are under way at a time, each with a goroutine and a connection. Where more are due, those that are
// due the longest come first, so that nodes which hang delay the others but never keep them from being probed.
const maxInFlight = 64

// probe is one probe of a node, as the node and the settings were when it began.
type probe struct {
	*state
	settings Settings
	finding  finding
	took     time.Duration
}

// Run probes until ctx is done, and returns nil when no probe is under way any more: at once, or within a second where a session that
// a probe has opened is just being closed. The nodes and what is known of them stay.
func (p *Prober) Run(ctx context.Context) error {
	done := make(chan probe, maxInFlight) // has room for all, so that probes end whether or not somebody listens
	var probes sync.WaitGroup
	defer probes.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	p.rest()
	for free := maxInFlight; ; {
		due, wait := p.take(free)
		for _, b := range due {
			free--
			probes.Go(func() {
				began := time.Now()
				b.finding = p.find(ctx, b.settings, b.Node)
				b.took = time.Since(began)
				done <- b
			})
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-p.wake:
		case b := <-done:
			free++
			if v, ok := p.judge(b); ok && ctx.Err() == nil {
				p.o.Tell(v)
			}
		}
	}
}

// rest forgets the probes of an earlier Run.
func (p *Prober) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.nodes {
		s.busy = false
	}
}

// take returns the probes that are due, at most free, and how long it is until another one is.
func (p *Prober) take(free int) (due []probe, wait time.Duration) {
	now := time.Now()
	wait = time.Hour
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.nodes {
		switch {
		case s.busy:
		case s.due.After(now):
			wait = min(wait, s.due.Sub(now))
		default:
			due = append(due, probe{state: s, settings: p.settings})
		}
	}
	slices.SortFunc(due, func(a, b probe) int { return a.due.Compare(b.due) })
	due = due[:min(free, len(due))] // the others' turn comes when a probe is over
	for _, b := range due {
		b.busy = true
	}
	return due, wait
}

// judge adds what a probe has found to what is known of its node. There is no verdict where the node is there no more, or has another
// address, or would be probed otherwise by now.
func (p *Prober) judge(b probe) (Verdict, bool) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	s, f := b.state, b.finding
	s.busy = false
	if p.nodes[s.Name] != s || p.settings != b.settings {
		return Verdict{}, false
	}
	healthy, drain := s.healthy, s.says.drain
	s.count(f.outcome, p.settings)
	if s.spoke && f.reason == errNoAnswer.Error() {
		f.reason = noAnswer
	}
	s.spoke = s.spoke || b.settings.asks() && (f.outcome == OK || f.outcome == WrongStatus)
	if f.outcome == OK {
		s.says = f.says
		if !s.healthy {
			f.reason = s.last.Reason
		}
	}
	pause := p.settings.Interval
	if s.streak > 0 {
		pause = p.settings.hurry()
	}
	s.due = now.Add(jitter(pause))
	s.probed = true
	s.last = Verdict{
		Node: s.Name, Address: s.Address, Healthy: s.healthy, Changed: s.healthy != healthy || s.says.drain != drain,
		Outcome: f.outcome, Reason: f.reason, Drain: s.says.drain, Weight: s.says.weight, Took: b.took, At: now,
	}
	return s.last, true
}

// count adds one outcome to those in a row.
func (s *state) count(o Outcome, settings Settings) {
	switch needed := settings.Fall; {
	case o == Unable:
	case s.healthy == (o == OK):
		s.streak = 0
	default:
		if !s.healthy {
			needed = settings.Rise
		}
		if s.streak++; s.streak >= needed {
			s.healthy, s.streak = !s.healthy, 0
		}
	}
}

// jitter returns d give or take a tenth, so that neither nodes nor replicas are in step.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
