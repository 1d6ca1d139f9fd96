package control

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidway/sidway/gateway/cluster"
)

const (
	countsKey = ":!counts" // behind the prefix and the cluster's name: a hash of replicas
	// countsTTL is how long the counts of the last replica stay.
	countsTTL = time.Minute
	// staleAfter is how long the counts of a replica are believed that has not told new ones, where they are shared each second.
	staleAfter = 3500 * time.Millisecond
	// mostCounts is how many counts one replica reads in a second.
	mostCounts = 20_000
)

// rarity is every how many seconds counts are shared, so that many replicas with many nodes do not read more than mostCounts a second.
func (p *post) rarity() int {
	return max(1, (1+len(p.replicas))*len(p.nodes.Cluster.Nodes())/mostCounts)
}

// heard is what another replica has told. Its age is measured here, so that no clock has to agree with another.
type heard[T any] struct {
	text  string
	at    time.Time
	said  T
	again bool // it has been heard at least twice: one that was told once may be dead
}

// hear notes in known, by their id, what all replicas but one have told in these fields, which parse reads if it can.
func hear[T any](known map[string]*heard[T], own string, fields map[string]string, now time.Time, parse func(string) (T, bool)) {
	for id := range known {
		if _, there := fields[id]; !there {
			delete(known, id)
		}
	}
	for id, text := range fields {
		switch h := known[id]; {
		case id == own:
		case h == nil:
			known[id] = &heard[T]{text: text, at: now}
		case h.text != text:
			*h = heard[T]{text: text, at: now}
			h.said, h.again = parse(text)
		}
	}
}

// count is what a replica tells of a node: the sessions that it counts, and the requests and tunnels that it has in flight, some of
// which may be of sessions that another replica counts; how many of its sessions poll, and how many of these did so when they were old;
// how many that upgraded at it another replica counts too; and, as 1, that it moves sessions off the node because that has more than its share.
type count struct{ sessions, leases, polling, lasting, taken, unloads int }

// bound is how many of its sessions another replica may have by WebSocket.
func (c count) bound() int { return max(0, c.polling-c.lasting) }

// countsText is what a replica tells: a number that grows, and the nodes that have anything, as "17 n1=3,2 n1=p1 n1=l1 n1=t1 n1=u1 n2=4,4", by which
// one of n1's sessions polls and has done so for long, one is counted twice, and they move to other nodes. These are words of their own, since replicas of another version leave out what is
// no count to them.
func (p *post) countsText(number uint64) string {
	var b strings.Builder
	b.WriteString(strconv.FormatUint(number, 10))
	taken, uneven := p.nodes.Cluster.Sessions.Taken(), p.nodes.unloaded()
	for _, s := range p.nodes.Cluster.Statuses() {
		if s.Sessions > 0 || s.Leases > 0 {
			fmt.Fprintf(&b, " %s=%d,%d", s.Node.Name, s.Sessions, s.Leases)
		}
		if s.Polling > 0 {
			fmt.Fprintf(&b, " %s=p%d", s.Node.Name, s.Polling)
		}
		if s.Lasting > 0 {
			fmt.Fprintf(&b, " %s=l%d", s.Node.Name, s.Lasting)
		}
		if n := taken[s.Node.Name]; n > 0 {
			fmt.Fprintf(&b, " %s=t%d", s.Node.Name, n)
		}
		if s.Node.Name == uneven {
			fmt.Fprintf(&b, " %s=u1", s.Node.Name)
		}
	}
	return b.String()
}

// parseCounts reads what countsText has written. What is no count is left out.
func parseCounts(text string) map[string]count {
	counts := map[string]count{}
	for word := range strings.FieldsSeq(text) {
		name, numbers, _ := strings.Cut(word, "=")
		c := counts[name]
		if of := c.letter(numbers[:min(1, len(numbers))]); of != nil {
			if n, ok := parseCount(numbers[1:]); ok {
				*of = n
			}
			counts[name] = c
			continue
		}
		sessions, leases, _ := strings.Cut(numbers, ",")
		s, ok := parseCount(sessions)
		l, ok2 := parseCount(leases)
		if ok && ok2 {
			c.sessions, c.leases = s, l
			counts[name] = c
		}
	}
	return counts
}

// letter returns the count that a letter stands for, nil where it stands for none.
func (c *count) letter(letter string) *int {
	switch letter {
	case "p":
		return &c.polling
	case "l":
		return &c.lasting
	case "t":
		return &c.taken
	case "u":
		return &c.unloads
	}
	return nil
}

// parseCount reads a number that no sum of such numbers overflows by.
func parseCount(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err == nil
}

// hear takes what all replicas have told, adds up the counts of those that live, and returns those that have been silent for so long
// that what they told can be taken away.
func (p *post) hear(own string, fields map[string]string, now time.Time) (dead []string) {
	sum, rest := map[string]int{}, map[string]count{}
	var live []map[string]count
	known := len(p.replicas)
	rarity := time.Duration(p.rarity())
	hear(p.replicas, own, fields, now, func(text string) (map[string]count, bool) { return parseCounts(text), true })
	for id, h := range p.replicas {
		switch silent := now.Sub(h.at); {
		case silent > countsTTL*rarity:
			dead = append(dead, id)
		case silent <= staleAfter*rarity && h.again:
			live = append(live, h.said)
			for node, n := range h.said {
				sum[node] += n.sessions
				of := rest[node]
				of.leases += n.leases
				of.polling += n.polling
				of.lasting += n.lasting
				of.unloads += n.unloads
				rest[node] = of
			}
		}
	}
	if len(live) < p.live || len(p.replicas) < known {
		p.nodes.Cluster.Sessions.ForgetTaken()
	}
	p.live = len(live)
	p.nodes.Cluster.SetOthers(sum, p.twice(live))
	p.nodes.setOthers(rest, p.live)
	p.nodes.toldUnloaded(parseCounts(fields[own]))
	return dead
}

// twice returns how many sessions two replicas count, by node. A replica tells of sessions that upgraded at it for longer than the one that
// bound them counts them: of these there are no more than the sessions that others say they have poll.
func (p *post) twice(others []map[string]count) map[string]cluster.Twice {
	all, bound := map[string]cluster.Twice{}, map[string]int{}
	for _, of := range others {
		for node, n := range of {
			bound[node] += n.bound()
		}
	}
	for node, n := range p.nodes.Cluster.Sessions.Taken() {
		all[node] = cluster.Twice{Here: min(n, bound[node])}
	}
	own := map[string]int{}
	for _, s := range p.nodes.Cluster.Statuses() {
		own[s.Node.Name] = s.Bound()
	}
	for _, of := range others {
		for node, n := range of {
			t, rest := all[node], bound[node]-n.bound()
			t.There += min(n.taken, rest+own[node])
			t.Rest += min(n.taken, rest)
			all[node] = t
		}
	}
	return all
}

// texts are what was heard last.
func (p *post) texts() map[string]string {
	all := map[string]string{}
	for id, h := range p.replicas {
		all[id] = h.text
	}
	return all
}

// share tells how many sessions this replica counts on each node of these clusters, and hears what the others count; and so it does
// with how it is itself, if peers. While Redis cannot be asked, what was heard gets old.
func (b *Board) share(ctx context.Context, client redis.UniversalClient, prefix string, posts map[string]*post, peers bool) {
	ctx, cancel := context.WithTimeout(ctx, boardTime)
	defer cancel()
	b.number++
	found, handed := map[string]*redis.MapStringStringCmd{}, map[string]*redis.StringSliceCmd{}
	hearPeers := func() []string { return nil }
	_ = b.pipelined(ctx, client, func(p redis.Pipeliner) { // each command has its own error
		for name, post := range posts {
			key := prefix + name + countsKey
			p.HSet(ctx, key, b.id, post.countsText(b.number))
			p.PExpire(ctx, key, countsTTL*time.Duration(post.rarity()))
			found[name] = p.HGetAll(ctx, key)
			handed[name] = p.SPopN(ctx, prefix+name+handedKey, mostHanded)
		}
		if peers {
			hearPeers = b.sharePeers(ctx, p, prefix)
		}
	})
	for name, cmd := range handed {
		adopt(posts[name].nodes.Cluster, cmd.Val())
	}
	for name, cmd := range found {
		fields, err := cmd.Result()
		if err != nil {
			fields = posts[name].texts()
		}
		if dead := posts[name].hear(b.id, fields, time.Now()); len(dead) > 0 {
			b.rights.note(client.HDel(ctx, prefix+name+countsKey, dead...))
		}
	}
	if dead := hearPeers(); len(dead) > 0 {
		b.rights.note(client.HDel(ctx, prefix+replicasKey, dead...))
	}
}
