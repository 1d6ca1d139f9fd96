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
}

// note remembers what has been counted by now.
func (r *recent) note(now time.Time, figures map[string]*gateway.Figures) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.all) > 1 && now.Sub(r.all[1].at) >= recentTime {
		r.all = r.all[1:]
	}
	r.all = append(r.all, counted{now, figures})
}

// of returns what a cluster has counted since a minute ago, or since its begin.
func (r *recent) of(name string, now *gateway.Figures) api.Recent {
	before := &gateway.Figures{}
	r.mu.Lock()
	if len(r.all) > 0 && r.all[0].byCluster[name] != nil {
		before = r.all[0].byCluster[name]
	}
	r.mu.Unlock()
	of := api.Recent{Made: api.Grown(now.Handshakes.Made, before.Handshakes.Made), Responses: map[string]uint64{}}
	for reason, n := range now.Responses {
		if n = api.Grown(n, before.Responses[reason]); n > 0 {
			of.Responses[reason] = n
		}
	}
	return of
}
