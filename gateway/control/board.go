package control

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/notice"
)

const (
	// A replica reads what operators have changed with each so many waves of endEvery, so that all obey within a second, and shares
	// its counts with each so many; see post.rarity.
	readWaves  = 2
	countWaves = 4
	// boardTime bounds one exchange with Redis.
	boardTime = time.Second
	// boardQuiet is how long the same trouble is not told again.
	boardQuiet = time.Minute

	changesKey = ":!changes" // behind the prefix and the cluster's name; "!" is in no sid
	// fieldRevision grows with each change. Where it is missing although there have been changes, Redis has lost them.
	fieldRevision = "revision"
)

// ErrStore says that a change could not be written, so that nothing has changed.
var ErrStore = errors.New("redis cannot be written")

// ErrUnknownCluster says that there is no such cluster.
var ErrUnknownCluster = errors.New("no such cluster")

// Board is where the changes of operators are kept: in Redis, so that all replicas obey them, also those that start later, or else in
// this process. Its methods may be called concurrently.
type Board struct {
	// OnEvent, if set before Run, is told of what happens. It must not block.
	OnEvent func(kind, cluster, node, text string)
	// Self, if set before Run, tells what other replicas are to know of this one.
	Self func() Self
	// Refuse, if set before Run, returns why a node must not be put, if there is a reason beside those that are known here.
	Refuse func(cluster string, n config.Node) error
	// Answer, if set before Run, says in some form what is known here of a session that another replica asks about.
	Answer func(sid string) string
	// Mover, if set before Run, moves sessions that poll.
	Mover Mover

	log    *slog.Logger
	told   notice.Limiter[string]
	id     string // of this replica among those that share counts
	number uint64 // of the counts it told last; Run's own

	answered map[string]struct{} // questions of other replicas; Run's own
	rights   rights

	mu     sync.Mutex
	redis  redis.UniversalClient // nil: in this process
	prefix string
	posts  map[string]*post
	peers  map[string]*heard[Self] // other replicas, by their id
	// When the others were told last of this replica, and since when they are told that Redis is too slow for it.
	marked, away time.Time
	listened     time.Time           // to the others
	unheard      bool                // the last time failed
	missed       map[string]Peer     // those that are missing, by their names
	asked        map[string]struct{} // questions of this one
}

// post is the record of one cluster.
type post struct {
	nodes  *Nodes
	fields map[string]string // as they were read or written last
	older  bool              // Redis had less than this at the last look
	read   bool              // it was read once: what is new from then on has just been changed

	replicas map[string]*heard[map[string]count] // others, by their id; Run's own
	live     int                                 // replicas of these whose counts were believed last; Run's own

	orders  map[string]*order // by their id
	watches bool              // there are some
}

// NewBoard returns a Board without clusters.
func NewBoard(log *slog.Logger) *Board {
	return &Board{
		OnEvent: func(string, string, string, string) {},
		log:     log, told: notice.Limiter[string]{Pause: boardQuiet}, id: rand.Text(), posts: map[string]*post{}, peers: map[string]*heard[Self]{},
		missed: map[string]Peer{}, answered: map[string]struct{}{}, asked: map[string]struct{}{}, rights: rights{refused: map[string]error{}},
	}
}

// Use has b keep the changes in Redis from now on, below prefix, or in this process where client is nil. What was changed before
// goes along.
func (b *Board) Use(client redis.UniversalClient, prefix string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.redis != client {
		b.rights.forget()
	}
	b.redis, b.prefix = client, prefix
	clear(b.peers)
	clear(b.missed)
}

// Redis returns where the changes are kept, nil in this process.
func (b *Board) Redis() redis.UniversalClient {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.redis
}

// Add has b tell nodes of the changes of their cluster, if it does not already.
func (b *Board) Add(nodes *Nodes) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.posts[nodes.Cluster.Name]; p == nil || p.nodes != nodes {
		b.posts[nodes.Cluster.Name] = &post{nodes: nodes, fields: map[string]string{}, replicas: map[string]*heard[map[string]count]{}, orders: map[string]*order{}}
	}
}

// Fields returns what operators have changed of a cluster in this process alone, for SetFields of another one; empty: nothing, or Redis
// has it.
func (b *Board) Fields(cluster string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.posts[cluster]; p != nil && b.redis == nil && len(p.fields) > 0 {
		text, _ := json.Marshal(p.fields) // of strings, so there is no error
		return string(text)
	}
	return ""
}

// SetFields has a cluster follow what Fields has returned, unless changes are kept in Redis.
func (b *Board) SetFields(cluster, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var fields map[string]string
	if p := b.posts[cluster]; p != nil && b.redis == nil && json.Unmarshal([]byte(text), &fields) == nil {
		_ = b.follow(p, fields) // it leaves out what it cannot read
	}
}

// Remove forgets a cluster, but not what is in Redis of it.
func (b *Board) Remove(cluster string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.posts, cluster)
}

// Run reads what other replicas have changed, shares counts of sessions with them, and ends sessions of drained and of silent nodes by
// end, until ctx is done. It returns nil.
func (b *Board) Run(ctx context.Context, end Ender) error {
	tick := time.NewTicker(endEvery)
	defer tick.Stop()
	for wave := 0; ; wave++ {
		client, prefix, posts := b.now()
		if client != nil && len(posts) > 0 {
			if wave%readWaves == 0 {
				b.read(ctx, client, prefix, posts)
			}
			due := maps.Clone(posts)
			maps.DeleteFunc(due, func(_ string, p *post) bool { return wave%(countWaves*p.rarity()) != 0 })
			if peers := b.peersDue(wave); peers || len(due) > 0 {
				b.share(ctx, client, prefix, due, peers)
			}
			if wave%countWaves == 0 {
				b.tryRights(ctx, client, prefix)
			}
		}
		for _, p := range posts {
			p.nodes.endDrained(end, b.tell)
			p.nodes.rebalance(client == nil, end, b.tell)
			p.nodes.endSilent(end, b.tell)
		}
		b.moveOrdered(ctx, client, prefix, posts)
		select {
		case <-ctx.Done():
			b.leave()
			return nil
		case <-tick.C:
		}
	}
}

// now returns where changes are kept, and the records of all clusters.
func (b *Board) now() (redis.UniversalClient, string, map[string]*post) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.redis, b.prefix, maps.Clone(b.posts)
}

// tell tells people and programs of what happens.
func (b *Board) tell(kind, cluster, node, text string) {
	log := b.log.With("cluster", cluster)
	if node != "" {
		log = log.With("node", node)
	}
	if kind == "unhealthy" {
		log.Warn(text)
	} else {
		log.Info(text)
	}
	b.OnEvent(kind, cluster, node, text)
}

// read reads the records of all clusters. A Redis that cannot be asked changes nothing: what is known goes on.
func (b *Board) read(ctx context.Context, client redis.UniversalClient, prefix string, posts map[string]*post) {
	ctx, cancel := context.WithTimeout(ctx, boardTime)
	defer cancel()
	found, orders, questions := map[string]*redis.MapStringStringCmd{}, map[string]*redis.MapStringStringCmd{}, (*redis.MapStringStringCmd)(nil)
	_ = b.pipelined(ctx, client, func(p redis.Pipeliner) { // each command has its own error
		for name, post := range posts {
			found[name] = p.HGetAll(ctx, prefix+name+changesKey)
			if post.nodes.movesSessions() {
				orders[name] = p.HGetAll(ctx, prefix+name+ordersKey)
			}
		}
		questions = p.HGetAll(ctx, prefix+questionsKey)
	})
	for name, cmd := range found {
		fields, err := cmd.Result()
		if err == nil {
			err = b.take(ctx, posts[name], fields)
		}
		var refused redis.Error // an outage is told of by the store of bindings, and a right that is missing by Refusal
		if errors.As(err, &refused) && !lacksRight(err) && b.told.Due("read") {
			b.log.Warn("what operators have changed cannot be read from Redis: drains and changes of nodes go on as they are known here", "cluster", name, "error", err)
		}
	}
	for name, cmd := range orders {
		b.takeOrders(ctx, client, prefix+name+ordersKey, posts[name], cmd)
	}
	if asked, err := questions.Result(); err == nil {
		b.answer(ctx, client, prefix, asked)
	}
}

// take has a cluster follow what was read, if that is new, and writes what is known where Redis has lost it.
func (b *Board) take(ctx context.Context, p *post, fields map[string]string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	again := p.older
	if p.older = revision(fields) < revision(p.fields); !p.older {
		before, news := p.fields, p.read
		p.read = true
		err := b.follow(p, fields)
		if news {
			b.tellChanged(p.nodes.Cluster.Name, before, fields)
		} else {
			b.tellRemoved(p.nodes)
		}
		return err
	}
	if !again || b.redis == nil { // once is what a look finds that was under way when a change was made here
		return nil
	}
	return b.transact(ctx, func(t redis.Pipeliner) {
		t.Del(ctx, b.key(p))
		t.HSet(ctx, b.key(p), p.fields)
	})
}

func (b *Board) key(p *post) string { return b.prefix + p.nodes.Cluster.Name + changesKey }

// follow needs mu.
func (b *Board) follow(p *post, fields map[string]string) error {
	if maps.Equal(fields, p.fields) {
		return nil
	}
	changes, err := parseChanges(fields)
	p.fields = fields
	p.nodes.SetChanges(changes)
	return err
}

// change sets fields of a cluster's record, and takes those away whose value is nil. When it returns nil, Redis has it and this
// replica obeys it; the others follow within a second.
func (b *Board) change(ctx context.Context, cluster string, values map[string]any) error {
	texts, gone := map[string]string{}, []string{}
	for field, v := range values {
		if v == nil {
			gone = append(gone, field)
			continue
		}
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		texts[field] = string(text)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.posts[cluster]
	if p == nil {
		return fmt.Errorf("%w as %q", ErrUnknownCluster, cluster)
	}
	if b.redis == nil {
		fields := maps.Clone(p.fields)
		maps.Copy(fields, texts)
		for _, field := range gone {
			delete(fields, field)
		}
		return b.follow(p, fields)
	}
	ctx, cancel := context.WithTimeout(ctx, boardTime)
	defer cancel()
	var now *redis.MapStringStringCmd
	err := b.transact(ctx, func(t redis.Pipeliner) {
		if len(gone) > 0 {
			t.HDel(ctx, b.key(p), gone...)
		}
		if len(texts) > 0 {
			t.HSet(ctx, b.key(p), texts)
		}
		t.HIncrBy(ctx, b.key(p), fieldRevision, 1)
		now = t.HGetAll(ctx, b.key(p))
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	return b.follow(p, now.Val())
}

// revision is how often a record was changed.
func revision(fields map[string]string) int64 {
	n, _ := strconv.ParseInt(fields[fieldRevision], 10, 64)
	return n
}
