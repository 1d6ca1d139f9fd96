package control

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidway/sidway/gateway/cluster"
)

// This file has a session that polls moved, whose next poll may come to any replica. The one that is asked writes an order. All replicas read it, and
// watch the session; two seconds later the one at which its poll waits moves it, and writes what has become of that.

const (
	ordersKey   = ":!moves" // behind the prefix and the cluster's name: a hash of orders by their id
	outcomesKey = "!move:"  // behind the prefix, with an order's id behind it: a list of what became of its tries
	// orderAfter is for how long an order must be known here until the session is moved: by then all replicas watch the session, and what was on its
	// way before they did has arrived.
	orderAfter = 2 * time.Second
	// orderLag is how much later than this replica another one knows of something.
	orderLag = time.Second
	// longestTry is how long a try takes at most.
	longestTry = 10 * time.Second
	// orderRest is for how long a session is watched behind the last moment at which its move may begin.
	orderRest = longestTry + 10*time.Second
	// mostOrders is how many orders of a cluster are known at a time.
	mostOrders = 256
	// patienceOf is the patience of an order that says none.
	patienceOf = 2 * time.Second
	// mostPatience bounds what another replica may say of its patience.
	mostPatience = time.Hour
)

// What Move may find.
var (
	ErrNoMoves   = errors.New("the session's cluster does not move sessions: see sessions.move")
	ErrMoving    = errors.New("the session is being moved already")
	ErrManyMoves = fmt.Errorf("%d sessions that poll are being moved already; try again in half a minute", mostOrders)
)

// Order is that a session that polls is to go on at another node.
type Order struct {
	SID      string        `json:"sid"`
	From     string        `json:"from"`         // the node that it lives on
	To       string        `json:"to,omitempty"` // "": the one that the cluster picks
	Patience time.Duration `json:"patience"`     // how long it may take until nothing is under way
}

// Moved is what became of an order.
type Moved struct {
	Node    string `json:"node"`    // that the session lives on
	Outcome string `json:"outcome"` // as in sidway_moves_total, or begun
}

const (
	begun = "begun" // the outcome of a try that goes on
	busy  = "busy"  // that of one that another may follow
)

// Mover begins to move a session of a cluster whose poll waits at this replica and that lives on the order's From, and reports whether it has. Then it calls
// told once, from any goroutine, with what has become of it.
type Mover func(c *cluster.Cluster, o Order, told func(Moved)) (begun bool)

// order is an Order as it is known here.
type order struct {
	Order
	since    time.Time // it is known here
	moving   bool      // by this replica
	ended    bool      // by an outcome that no other try follows
	outcomes []Moved   // of this replica's tries
	told     int       // of these, to Redis
}

// begins is when its moves begin, ends when none begins any more, and over when the session is not watched any more.
func (o *order) begins() time.Time { return o.since.Add(orderAfter) }
func (o *order) ends() time.Time   { return o.begins().Add(o.Patience) }
func (o *order) over() time.Time   { return o.ends().Add(orderRest) }

// Move has a session that polls moved by whichever replica has its next poll, and returns what became of it. The outcome is busy where something
// was under way all the time, or no poll came.
func (b *Board) Move(ctx context.Context, cluster string, o Order) (Moved, error) {
	id := rand.Text()
	o.Patience = cmp.Or(o.Patience, patienceOf)
	known, client, prefix, err := b.order(cluster, id, o)
	if err != nil {
		return Moved{}, err
	}
	if client != nil {
		text, _ := json.Marshal(o) // of strings and a number, so there is no error
		limited, cancel := context.WithTimeout(ctx, boardTime)
		defer cancel()
		err := b.pipelined(limited, client, func(p redis.Pipeliner) {
			p.HSet(limited, prefix+cluster+ordersKey, id, text)
			p.PExpire(limited, prefix+cluster+ordersKey, orderAfter+o.Patience+orderRest)
		})
		if err != nil {
			b.cancel(known)
			return Moved{}, fmt.Errorf("%w: %w", ErrStore, err)
		}
	}
	return b.awaitOutcome(ctx, known, func(ctx context.Context) ([]Moved, error) {
		return b.outcomes(ctx, known, client, prefix+outcomesKey+id)
	})
}

// order makes an order known here.
func (b *Board) order(cluster, id string, o Order) (*order, redis.UniversalClient, string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.posts[cluster]
	switch {
	case p == nil:
		return nil, nil, "", fmt.Errorf("%w as %q", ErrUnknownCluster, cluster)
	case !p.nodes.movesSessions():
		return nil, nil, "", ErrNoMoves
	case len(p.orders) >= mostOrders:
		return nil, nil, "", ErrManyMoves
	}
	now := time.Now()
	for _, other := range p.orders {
		if other.SID == o.SID && !other.ended && now.Before(other.ends()) {
			return nil, nil, "", ErrMoving
		}
	}
	known := &order{Order: o, since: now}
	p.orders[id] = known
	p.watch(now)
	return known, b.redis, b.prefix, nil
}

// cancel ends an order that could not be written.
func (b *Board) cancel(o *order) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o.ended = true
}

// outcomes returns what has become of an order's tries so far, by all replicas.
func (b *Board) outcomes(ctx context.Context, o *order, client redis.UniversalClient, key string) (all []Moved, err error) {
	if client == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		return append(all, o.outcomes...), nil
	}
	ctx, cancel := context.WithTimeout(ctx, boardTime)
	defer cancel()
	told := client.LRange(ctx, key, 0, -1)
	b.rights.note(told)
	texts, err := told.Result()
	for _, text := range texts {
		var m Moved
		if json.Unmarshal([]byte(text), &m) == nil {
			all = append(all, m)
		}
	}
	return all, err
}

// awaitOutcome waits for the outcome that no other follows.
func (b *Board) awaitOutcome(ctx context.Context, o *order, look func(context.Context) ([]Moved, error)) (Moved, error) {
	tick := time.NewTicker(answerLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return Moved{}, context.Cause(ctx)
		case <-tick.C:
		}
		last := Moved{o.From, busy}
		if all, err := look(ctx); err == nil && len(all) > 0 {
			last = all[len(all)-1]
		}
		until := o.ends().Add(2 * orderLag)
		if last.Outcome == begun {
			last.Outcome, until = busy, until.Add(longestTry)
		}
		if last.Outcome != busy || time.Now().After(until) {
			return last, nil
		}
	}
}

// takeOrders takes the orders of a cluster that Redis has told, and takes those away from there that are over.
func (b *Board) takeOrders(ctx context.Context, client redis.UniversalClient, key string, p *post, told *redis.MapStringStringCmd) {
	fields, err := told.Result()
	if err != nil {
		return
	}
	b.mu.Lock()
	over := p.takeOrders(fields, time.Now())
	b.mu.Unlock()
	if len(over) > 0 {
		b.rights.note(client.HDel(ctx, key, over...))
	}
}

// takeOrders returns the orders that are over. It needs the board's mu.
func (p *post) takeOrders(fields map[string]string, now time.Time) (over []string) {
	for id, o := range p.orders {
		if _, there := fields[id]; !there && now.Sub(o.since) > orderLag { // else it is about to be there
			delete(p.orders, id)
		}
	}
	for id, text := range fields {
		o := p.orders[id]
		var read Order
		if o == nil && len(p.orders) < mostOrders && json.Unmarshal([]byte(text), &read) == nil && read.SID != "" {
			read.Patience = min(max(read.Patience, 0), mostPatience)
			o = &order{Order: read, since: now}
			p.orders[id] = o
		}
		if o != nil && now.After(o.over()) {
			over = append(over, id)
		}
	}
	p.watch(now)
	return over
}

// watch has the sessions watched that there are orders for. It needs the board's mu.
func (p *post) watch(now time.Time) {
	if len(p.orders) == 0 && !p.watches {
		return
	}
	since := map[string]time.Time{}
	for _, o := range p.orders {
		if first, known := since[o.SID]; now.Before(o.over()) && (!known || o.since.Before(first)) {
			since[o.SID] = o.since
		}
	}
	p.watches = len(since) > 0
	p.nodes.Cluster.Sessions.Watch(since)
}

// moveOrdered begins moves that are due, and tells of those before.
func (b *Board) moveOrdered(ctx context.Context, client redis.UniversalClient, prefix string, posts map[string]*post) {
	now := time.Now()
	unsent := map[string][]string{}
	b.mu.Lock()
	mover, due := b.Mover, map[*order]*cluster.Cluster{}
	for _, p := range posts {
		p.watch(now)
		for id, o := range p.orders {
			if client == nil && now.After(o.over()) {
				delete(p.orders, id)
			}
			for ; o.told < len(o.outcomes) && client != nil; o.told++ {
				text, _ := json.Marshal(o.outcomes[o.told])
				unsent[id] = append(unsent[id], string(text))
			}
			if !o.moving && !o.ended && now.After(o.begins()) && now.Before(o.ends()) && mover != nil {
				o.moving = true
				due[o] = p.nodes.Cluster
			}
		}
	}
	b.mu.Unlock()
	b.sendOutcomes(ctx, client, prefix, unsent)
	for o, c := range due {
		begins := mover(c, o.Order, func(m Moved) { b.ended(o, m) })
		b.mu.Lock()
		if o.moving = o.moving && begins; o.moving {
			o.outcomes = append(o.outcomes, Moved{o.From, begun})
		}
		b.mu.Unlock()
	}
}

// ended notes what became of a try.
func (b *Board) ended(o *order, m Moved) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o.moving, o.ended = false, m.Outcome != busy
	o.outcomes = append(o.outcomes, m)
}

func (b *Board) sendOutcomes(ctx context.Context, client redis.UniversalClient, prefix string, unsent map[string][]string) {
	if len(unsent) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, boardTime)
	defer cancel()
	_ = b.pipelined(ctx, client, func(p redis.Pipeliner) { // who asked hears of one that is lost as busy
		for id, texts := range unsent {
			for _, text := range texts {
				p.RPush(ctx, prefix+outcomesKey+id, text)
			}
			p.PExpire(ctx, prefix+outcomesKey+id, orderRest)
		}
	})
}
