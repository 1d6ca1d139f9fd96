package control

import (
	"log/slog"
	"sync"
	"time"

	"github.com/sidway/sidway/gateway/health"
)

// SilentFor is how long a node may be silent.
const SilentFor = silentFor

// TakeVerdict has nodes take what a probe has found.
func TakeVerdict(n *Nodes, v health.Verdict) { n.takeVerdict(v) }

// EndSilent ends sessions as Board.Run does.
func EndSilent(n *Nodes, log *slog.Logger, end Ender) {
	b := NewBoard(log)
	b.OnEvent = func(string, string, string, string) {}
	n.endSilent(end, b.tell)
}

// ParseChanges reads the fields of a cluster's record in Redis.
func ParseChanges(fields map[string]string) (Changes, error) { return parseChanges(fields) }

// HearCounts has nodes take what other replicas have told of their counts, each at least twice.
func HearCounts(n *Nodes, texts ...string) {
	b := NewBoard(nil)
	b.Add(n)
	p := b.posts[n.Cluster.Name]
	for _, before := range []string{"0", ""} {
		fields := map[string]string{}
		for i, text := range texts {
			fields[string(rune('a'+i))] = before + text
		}
		p.hear("own", fields, time.Now())
	}
}

// Pair is two replicas that tell each other what they count, without a Redis.
type Pair struct {
	Nodes [2]*Nodes
	posts [2]*post
	mu    sync.Mutex
	texts [2]string
	n     uint64
}

// NewPair returns replicas of these nodes.
func NewPair(a, b *Nodes) *Pair {
	p := &Pair{Nodes: [2]*Nodes{a, b}}
	for i, n := range p.Nodes {
		board := NewBoard(nil)
		board.Add(n)
		p.posts[i] = board.posts[n.Cluster.Name]
	}
	return p
}

// Share has a replica tell what it counts, and hear what the other one has told last. It may be called for both at a time.
func (p *Pair) Share(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	p.texts[i] = p.posts[i].countsText(p.n)
	p.posts[i].hear("own", map[string]string{"own": p.texts[i], "other": p.texts[1-i]}, time.Now())
}

// SetMover is for a Board that runs.
func (b *Board) SetMover(m Mover) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Mover = m
}
