package replica

import (
	"maps"
	"sync"
	"time"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/api"
)

const (
	// stormBefore is how many seconds before so many sessions begin their WebSockets may have ended: clients wait for up to 7.5 s.
	stormBefore = 10
	// stormShare is how many sessions must begin in a second while a storm lasts, one in so many of its worst, and stormLeast at least.
	stormShare = 10
	stormLeast = 5
	// stormKept is how long a storm that is over is told of.
	stormKept = time.Minute
	// stormQuiet is how long the log does not repeat that there is a storm.
	stormQuiet = 10 * time.Minute
)

// storms knows how many sessions have begun and how many WebSockets have ended in each of the last seconds, and what storm each cluster
// has, or has just had.
type storms struct {
	mu       sync.Mutex
	clusters map[string]*weather
}

type weather struct {
	total gateway.Turnover
	last  [stormBefore]gateway.Turnover // of the last seconds
	storm *api.Storm                    // not changed once it is here
}

// tick takes what has been counted by now, once a second. It returns the clusters at which a storm may begin: sessions says how many
// there are, and is asked only where very many have begun.
func (s *storms) tick(second int, totals map[string]gateway.Turnover, now time.Time, sessions func(cluster string) int) (begun []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clusters == nil {
		s.clusters = map[string]*weather{}
	}
	maps.DeleteFunc(s.clusters, func(name string, _ *weather) bool { _, there := totals[name]; return !there })
	for name, total := range totals {
		w := s.clusters[name]
		if w == nil {
			s.clusters[name] = &weather{total: total}
			continue
		}
		of := turned(total, w.total)
		w.total, w.last[second%stormBefore] = total, of
		switch v := w.storm; {
		case v != nil:
			w.storm = next(*v, of, now)
		case api.IsStorm(of.Made, 0) && api.IsStorm(of.Made, sessions(name)):
			w.storm = &api.Storm{Since: now, Last: now}
			for _, of := range w.last {
				w.storm = next(*w.storm, of, now)
			}
			begun = append(begun, name)
		}
	}
	return begun
}

// next is a storm a second later, nil when it is over for long.
func next(v api.Storm, of gateway.Turnover, now time.Time) *api.Storm {
	v.Peak = max(v.Peak, of.Made)
	if of.Made >= max(stormLeast, v.Peak/stormShare) {
		v.Last = now
	}
	if now.Sub(v.Last) > stormKept {
		return nil
	}
	if now.Sub(v.Last) < stormBefore*time.Second {
		v.Begun += of.Made
		v.Ended += of.Ended
		v.ByClients += of.ByClients
		v.ByNodes += of.ByNodes
	}
	return &v
}

func turned(now, before gateway.Turnover) gateway.Turnover {
	return gateway.Turnover{
		Made: api.Grown(now.Made, before.Made), Ended: api.Grown(now.Ended, before.Ended),
		ByClients: api.Grown(now.ByClients, before.ByClients), ByNodes: api.Grown(now.ByNodes, before.ByNodes),
	}
}

// of returns the storm of a cluster, nil where it has none.
func (s *storms) of(cluster string) *api.Storm {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.clusters[cluster]; w != nil {
		return w.storm
	}
	return nil
}

// tellStorms tells of so many sessions that begin within this second that something has cut them all.
func (r *Replica) tellStorms(second int) {
	sessions := func(cluster string) (n int) {
		for _, p := range r.parts() {
			if p.cfg.Name == cluster {
				for _, s := range p.nodes.Cluster.Statuses() {
					n += s.Sessions
				}
			}
		}
		return n
	}
	for _, name := range r.storms.tick(second, r.gateway.Turnovers(), time.Now().UTC(), sessions) {
		v := r.storms.of(name)
		if v == nil || !r.stormy.Due(name) {
			continue
		}
		r.log.Warn("a storm: very many sessions begin at once, as after something has cut them all", "cluster", name, "within_a_second", v.Peak,
			"sessions", sessions(name), "websockets_ended", v.Ended, "by_clients_side", v.ByClients, "by_nodes_side", v.ByNodes)
		r.event("storm", name, "", v.Words(v.Last))
	}
}
