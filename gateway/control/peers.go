package control

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	replicasKey = "!replicas" // behind the prefix: a hash of replicas
	// mostPeers is how many replicas one reads in a second.
	mostPeers = 200
	// leaveTime bounds how long a replica that ends takes to tell the others.
	leaveTime = 250 * time.Millisecond
	// missingPeriods is for how many of the times between two words of it a replica may be silent before it is missing, and missedFor for
	// how long it is missed: one that does not reach Redis binds sessions all the while.
	missingPeriods = 5
	missedFor      = 10 * time.Minute
)

// Self is what a replica tells the others of itself.
type Self struct {
	Name        string    `json:"n"`
	Version     string    `json:"v"`
	Started     time.Time `json:"b"`
	Stopping    bool      `json:"e,omitempty"`
	Away        bool      `json:"a,omitempty"` // Redis is too slow for it, so that it binds sessions of which others know nothing
	Connections int64     `json:"c"`
	Limit       int64     `json:"l"`
	Descriptors uint64    `json:"d,omitempty"` // that it may open, where these set Limit
	Tunnels     int       `json:"t"`
	Sessions    int       `json:"s"`
	Unready     string    `json:"u,omitempty"` // why it is not ready, if it is not
	Number      uint64    `json:"i"`           // grows, so that one that lives is told from one that is dead
}

// Peer is another replica.
type Peer struct {
	Self
	Heard time.Time // when it was heard last
}

// Peers returns the other replicas that share the Redis and were heard within a minute, and those that are missing, by name. Without Redis there is none.
func (b *Board) Peers() (all []Peer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look()
	there := map[string]bool{}
	for _, p := range b.peers {
		if p.again && time.Since(p.at) <= countsTTL {
			all = append(all, Peer{p.said, p.at})
			there[p.said.Name] = true
		}
	}
	for name, p := range b.missed {
		if !there[name] {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b Peer) int { return cmp.Or(cmp.Compare(a.Name, b.Name), a.Started.Compare(b.Started)) })
	return all
}

// Missing reports whether replicas may have bound sessions of which Redis knows nothing: some that were there are silent and have not said that they stop, which
// it names, or nobody has listened here lately, or Redis does not let them hear each other. One that comes back under its name is not missed.
func (b *Board) Missing() (names []string, may bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look()
	deaf := len(b.peers) > 0 && time.Since(b.listened) > b.period()*3/2 // then Missed is not known here to have come
	return slices.Sorted(maps.Keys(b.missed)), deaf || b.refused() || len(b.missed) > 0
}

// look finds out who is missing. It needs mu.
func (b *Board) look() {
	now := time.Now()
	maps.DeleteFunc(b.missed, func(_ string, p Peer) bool { return now.Sub(p.Heard) > missedFor })
	for _, p := range b.peers {
		switch silent := now.Sub(p.at); {
		case !p.again:
		case !p.said.Stopping && (p.said.Away || silent > missingPeriods*b.period()):
			b.missed[p.said.Name] = Peer{p.said, p.at}
		default:
			delete(b.missed, p.said.Name)
		}
	}
}

// period is the time between two words of a replica: a wave, and more where they are very many. It needs mu.
func (b *Board) period() time.Duration { return endEvery * time.Duration(b.periodWaves()) }

func (b *Board) periodWaves() int { return max(1, (1+len(b.peers))*countWaves/mostPeers) }

// peersDue reports whether it is time to tell the others of this replica. While they cannot be told, that is tried once a second.
func (b *Board) peersDue(wave int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	waves := b.periodWaves()
	if b.unheard {
		waves = max(waves, countWaves)
	}
	return b.Self != nil && wave%waves == 0
}

// Missed returns when the other replicas will look for sessions that this one has bound and not written to Redis, if it has not reached
// that since. The zero time says that there are no others.
func (b *Board) Missed() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case len(b.peers) == 0 || b.marked.IsZero():
		return time.Time{}
	case !b.away.IsZero():
		return b.away.Add(2 * b.period())
	}
	return b.marked.Add((missingPeriods + 2) * b.period())
}

// sharePeers tells the others how this replica is, and returns what will hear them.
func (b *Board) sharePeers(ctx context.Context, p redis.Pipeliner, prefix string) (hear func() (dead []string)) {
	self := b.Self()
	self.Number = b.number
	text, _ := json.Marshal(self) // of strings and numbers, so there is no error
	told := p.HSet(ctx, prefix+replicasKey, b.id, text)
	p.PExpire(ctx, prefix+replicasKey, countsTTL)
	found := p.HGetAll(ctx, prefix+replicasKey)
	return func() []string {
		now := time.Now()
		fields, err := found.Result()
		b.mark(self.Away, err == nil && told.Err() == nil, now)
		if err == nil { // else what was heard gets old
			return b.hearPeers(fields, now)
		}
		return nil
	}
}

// mark notes whether the others could be told of this replica, and heard.
func (b *Board) mark(away, told bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unheard = !told
	switch {
	case !told:
		return
	case !away:
		b.away = time.Time{}
	case b.away.IsZero():
		b.away = now
	}
	b.marked = now
}

// hearPeers takes what all replicas have told of themselves, and returns those that are dead.
func (b *Board) hearPeers(fields map[string]string, now time.Time) (dead []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listened = now
	b.look() // before one is forgotten of which nothing stands there any more
	hear(b.peers, b.id, fields, now, func(text string) (s Self, ok bool) {
		ok = json.Unmarshal([]byte(text), &s) == nil
		return s, ok
	})
	for id, p := range b.peers {
		if now.Sub(p.at) > countsTTL {
			dead = append(dead, id)
		}
	}
	return dead
}

// leave tells the others that this replica ends.
func (b *Board) leave() {
	client, prefix, posts := b.now()
	if client == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), boardTime)
	defer cancel()
	b.handOn(ctx, client, prefix, posts)
	if b.Self == nil {
		return
	}
	client.HDel(ctx, prefix+replicasKey, b.id) // a Redis that is away forgets it by itself
}
