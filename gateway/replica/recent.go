package replica

import (
	"slices"
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

// recent knows what was counted a minute ago, and how many sessions began in each second since.
type recent struct {
	mu    sync.Mutex
	all   []counted // the oldest first
	begun map[string]*[60]uint64
	made  map[string]uint64 // at the last second
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

// tick notes how many sessions each cluster has made by this second, and returns how many of those are of it.
func (r *recent) tick(second int, made map[string]uint64) (begun map[string]uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := map[string]*[60]uint64{}
	begun = map[string]uint64{}
	for name, n := range made {
		seconds := r.begun[name]
		if before, known := r.made[name]; seconds == nil || !known {
			seconds = new([60]uint64)
		} else {
			begun[name] = api.Grown(n, before)
		}
		seconds[second%len(seconds)] = begun[name]
		kept[name] = seconds
	}
	r.begun, r.made = kept, made
	return begun
}

// of returns what a cluster has counted since a minute ago, or since its begin.
func (r *recent) of(name string, now *gateway.Figures) api.Recent {
	before := &gateway.Figures{}
	r.mu.Lock()
	if len(r.all) > 0 && r.all[0].byCluster[name] != nil {
		before = r.all[0].byCluster[name]
	}
	peak := uint64(0)
	if seconds := r.begun[name]; seconds != nil {
		peak = slices.Max(seconds[:])
	}
	r.mu.Unlock()
	of := api.Recent{Peak: peak, Made: api.Grown(now.Handshakes.Made, before.Handshakes.Made), Responses: map[string]uint64{}}
	for reason, n := range now.Responses {
		if n = api.Grown(n, before.Responses[reason]); n > 0 {
			of.Responses[reason] = n
		}
	}
	return of
}
