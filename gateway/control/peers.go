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
	// missingAfter is how long a replica may be silent before it is missing, and missedFor for how long it is missed: one that does not
	// reach Redis binds sessions all the while.
	missingAfter = 2 * time.Second
	missedFor    = 10 * time.Minute
)

// Self is what a replica tells the others of itself.
type Self struct {
	Name        string    `json:"n"`
	Version     string    `json:"v"`
	Started     time.Time `json:"b"`
	Stopping    bool      `json:"e,omitempty"`
	Connections int64     `json:"c"`
	Limit       int64     `json:"l"`
	Tunnels     int       `json:"t"`
	Sessions    int       `json:"s"`
	Unready     string    `json:"u,omitempty"` // why it is not ready, if it is not
	Number      uint64    `json:"i"`           // grows, so that one that lives is told from one that is dead
}

// Peer is another replica.
type Peer struct {
	Self
	Silent time.Duration // since it was heard last
}

// Peers returns the other replicas that share the Redis and were heard within a minute, by name. Without Redis there is none.
func (b *Board) Peers() (all []Peer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.peers {
		if silent := time.Since(p.at); p.again && silent <= countsTTL {
			all = append(all, Peer{p.said, silent})
		}
	}
	slices.SortFunc(all, func(a, b Peer) int { return cmp.Or(cmp.Compare(a.Name, b.Name), a.Started.Compare(b.Started)) })
	return all
}

// Missing returns the names of replicas that were there, are silent and have not said that they stop. One that comes back under its name is not
// missed.
func (b *Board) Missing() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(b.missed, func(_ string, at time.Time) bool { return now.Sub(at) > missedFor })
	for _, p := range b.peers {
		switch silent := now.Sub(p.at); {
		case !p.again:
		case silent > missingAfter && !p.said.Stopping:
			b.missed[p.said.Name] = p.at
		default:
			delete(b.missed, p.said.Name)
		}
	}
	return slices.Sorted(maps.Keys(b.missed))
}

// peersDue reports whether it is time to tell the others of this replica: each second, and less often where they are very many.
func (b *Board) peersDue(wave int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Self != nil && wave%(countWaves*max(1, (1+len(b.peers))/mostPeers)) == 0
}

// sharePeers tells the others how this replica is, and returns what will hear them.
func (b *Board) sharePeers(ctx context.Context, p redis.Pipeliner, prefix string) (hear func() (dead []string)) {
	self := b.Self()
	self.Number = b.number
	text, _ := json.Marshal(self) // of strings and numbers, so there is no error
	p.HSet(ctx, prefix+replicasKey, b.id, text)
	p.PExpire(ctx, prefix+replicasKey, countsTTL)
	found := p.HGetAll(ctx, prefix+replicasKey)
	return func() []string {
		if fields, err := found.Result(); err == nil { // else what was heard gets old
			return b.hearPeers(fields, time.Now())
		}
		return nil
	}
}

// hearPeers takes what all replicas have told of themselves, and returns those that are dead.
func (b *Board) hearPeers(fields map[string]string, now time.Time) (dead []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
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
