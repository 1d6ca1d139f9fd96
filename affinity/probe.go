package affinity

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// A replica's mark lives this long after the replica's last Probe.
	markTTL = time.Hour
	// A mark begins here, so that one that was lost, and then advanced by a Probe whose answer we never got, is still
	// told from one that was kept.
	markBase = 1 << 40
	// Marks are spread over the nodes of a Redis Cluster by their number: each node loses its data alone.
	clusterMarks = 64
)

// trust is what a replica knows about a Redis that tells whether it still holds what it acknowledged.
type trust struct {
	warm    bool        // the last Probe was answered, so there is a connection that has been greeted
	granted atomic.Bool // all that a Store does has been done once, and was not refused since
	emptied atomic.Bool // the last loss that a Probe found was one of data: a mark of ours was gone or older
	marks   []mark
	ids     map[string]bool // run ids of the servers at the last Probe
}

// mark is a counter in Redis that this replica alone advances. A value that does not grow tells that Redis was emptied
// or has lost what was written after the value before.
type mark struct {
	key  string
	last int64
}

func newTrust(c redis.UniversalClient, prefix string) *trust {
	t := &trust{marks: make([]mark, 1)}
	if _, ok := c.(*redis.ClusterClient); ok {
		t.marks = make([]mark, clusterMarks)
	}
	// "!" is in no sid, so that a mark is never taken for a binding.
	id := rand.Text()
	for i := range t.marks {
		t.marks[i].key = prefix + "!mark:" + id + ":" + strconv.Itoa(i)
	}
	return t
}

// Probe implements Back. The store is not intact where this replica's mark did not grow, and where another server
// process answers than before: what others wrote since our last mark may be missing from a copy that was loaded, or
// from a replica that took over.
//
// The first Probe that succeeds also does once what a Store does, so that a user who lacks a right is found before a session
// needs it; so does the first one after a refusal, or a store that refuses only some commands would seem to come and go.
func (r *Redis) Probe(ctx context.Context) (bool, error) {
	intact, err := r.probe(ctx)
	r.trust.warm = err == nil
	return intact, err
}

// greetings is how many round trips a new connection may take before it is of use, each as long as an operation's.
const greetings = 4

func (r *Redis) probe(ctx context.Context) (bool, error) {
	if !r.trust.warm { // so that a Redis that is just fast enough for an operation is not late because it was greeted first
		greeting, stop := context.WithTimeout(ctx, greetings*opTimeout)
		_ = r.client.Ping(greeting) // which a user may lack the right to; what is wrong is found out by what follows
		stop()
	}
	if !r.trust.granted.Load() {
		if err := r.try(ctx); err != nil {
			return false, r.failure(ctx, "try", err)
		}
		r.trust.granted.Store(true)
	}
	grown, err := r.limited(ctx, r.advance)
	if err != nil {
		return false, r.failure(ctx, "probe", err)
	}
	// The servers are asked after the marks: whoever starts in between is seen now, whoever starts later next time.
	same, err := r.limited(ctx, r.sameServers)
	if err != nil {
		return false, r.failure(ctx, "probe", err)
	}
	if !grown || !same {
		r.trust.emptied.Store(!grown)
	}
	return grown && same, nil
}

// limited gives one round trip its time.
func (r *Redis) limited(ctx context.Context, ask func(context.Context) (bool, error)) (bool, error) {
	ctx, stop := context.WithTimeout(ctx, opTimeout)
	defer stop()
	return ask(ctx)
}

// try does in one round trip what a Store does, on a key that is in nobody's way.
func (r *Redis) try(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, opTimeout)
	defer stop()
	key := r.trust.marks[0].key + ":try"
	var set *redis.StatusCmd
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		set = p.Set(ctx, key, "", opTimeout)
		p.Get(ctx, key)
		p.PTTL(ctx, key)
		p.Del(ctx, key)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) { // it may have expired
		return err
	}
	return acknowledged(set)
}

// advance advances the marks in one round trip and reports whether all have grown.
func (r *Redis) advance(ctx context.Context) (bool, error) {
	marks := r.trust.marks
	values := make([]*redis.IntCmd, len(marks))
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range marks {
			step := int64(1)
			if marks[i].last < markBase {
				step = markBase
			}
			values[i] = p.IncrBy(ctx, marks[i].key, step)
			p.PExpire(ctx, marks[i].key, markTTL)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	grown := true
	for i, v := range values {
		if v.Val() == 0 {
			return false, errUnanswered // see acknowledged
		}
		// A Probe that timed out may have been counted: any growth will do.
		grown = grown && v.Val() > marks[i].last
		marks[i].last = v.Val()
	}
	return grown, nil
}

// sameServers reports whether no server answers that was not there at the last Probe.
func (r *Redis) sameServers(ctx context.Context) (bool, error) {
	ids := make(map[string]bool)
	var mu sync.Mutex
	ask := func(ctx context.Context, c redis.Cmdable) error {
		info, err := c.Info(ctx, "server").Result()
		// A server that does not tell has one id for ever.
		if _, refused := errors.AsType[redis.Error](err); err != nil && !refused {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		ids[runID(info)] = true
		return nil
	}
	var err error
	if cluster, ok := r.client.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return ask(ctx, c) })
	} else {
		err = ask(ctx, r.client)
	}
	if err != nil {
		return false, err
	}
	same := true
	for id := range ids {
		same = same && (r.trust.ids == nil || r.trust.ids[id])
	}
	r.trust.ids = ids
	return same, nil
}

// runID finds in INFO's answer the id that a Redis server draws when it starts.
func runID(info string) string {
	_, after, _ := strings.Cut(info, "\nrun_id:")
	id, _, _ := strings.Cut(after, "\r")
	return id
}
