package replica

import (
	"sync"
	"time"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/api"
)

const (
	// recentTime is how long ago something may be to be recent, and recentEvery how exactly that is known.
	recentTime  = time.Minute
	recentEvery = 10 // seconds
)

// recent knows what was counted a minute ago.
type recent struct {
	mu  sync.Mutex
	all []counted // the oldest first
}

type counted struct {
	at        time.Time
	byCluster map[string]*gateway.Figures
	ended     map[string]uint64 // sessions, by cluster
}

// note remembers what has been counted by now.
func (r *recent) note(now time.Time, figures map[string]*gateway.Figures, ended map[string]uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.all) > 1 && now.Sub(r.all[1].at) >= recentTime {
		r.all = r.all[1:]
	}
	r.all = append(r.all, counted{now, figures, ended})
}

// of returns what a cluster has counted since a minute ago, or since the begin of the replica.
func (r *recent) of(name string, at time.Time, now *gateway.Figures, ended uint64) api.Recent {
	before, endedBefore := &gateway.Figures{}, uint64(0)
	of := api.Recent{Responses: map[string]uint64{}, Ends: map[string]uint64{}, Nodes: map[string]api.Grew{}}
	r.mu.Lock()
	if len(r.all) > 0 {
		first := r.all[0]
		of.Seconds = at.Sub(first.at).Seconds()
		if f := first.byCluster[name]; f != nil {
			before, endedBefore = f, first.ended[name]
		}
	}
	r.mu.Unlock()
	of.Made, of.Ended = api.Grown(now.Handshakes.Made, before.Handshakes.Made), api.Grown(ended, endedBefore)
	of.Strangers = api.Grown(now.Strangers, before.Strangers)
	grown(of.Responses, now.Responses, before.Responses)
	grown(of.Ends, now.Ends, before.Ends)
	for name, n := range now.Nodes {
		was := before.Nodes[name]
		if g := (api.Grew{Handshakes: api.Grown(n.Handshakes, was.Handshakes), Errors: api.Grown(n.Errors, was.Errors)}); g != (api.Grew{}) {
			of.Nodes[name] = g
		}
	}
	return of
}

// grown notes what has grown.
func grown(of, now, before map[string]uint64) {
	for name, n := range now {
		if n = api.Grown(n, before[name]); n > 0 {
			of[name] = n
		}
	}
}
