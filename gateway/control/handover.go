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

// This file passes the counts of polling sessions on: they live longer than the replica that bound them, which is all that counts them.

const (
	handedKey = ":!handed" // behind the prefix and the cluster's name: a set of sessions that nobody counts
	// mostHanded is how many of these one replica takes at a time, handedAtOnce how many are written by one command.
	mostHanded   = 10_000
	handedAtOnce = 1000
)

// handOn writes the sessions that this replica has counted, for the others to count.
func (b *Board) handOn(ctx context.Context, client redis.UniversalClient, prefix string, posts map[string]*post) {
	_, _ = client.Pipelined(ctx, func(p redis.Pipeliner) error { // a Redis that is away knows no sessions of anybody
		for name, post := range posts {
			key := prefix + name + handedKey
			var words []any
			for _, h := range post.nodes.Cluster.Sessions.HandOn() {
				words = append(words, fmt.Sprintf("%s %s %d", h.SID, h.Node, h.Left/time.Second))
			}
			for len(words) > 0 {
				n := min(len(words), handedAtOnce)
				p.SAdd(ctx, key, words[:n]...)
				words = words[n:]
			}
			p.PExpire(ctx, key, countsTTL)
			p.HDel(ctx, prefix+name+countsKey, b.id)
		}
		return nil
	})
}

// adopt counts sessions that others have handed on. What is no session is left out.
func adopt(c *cluster.Cluster, words []string) {
	for _, word := range words {
		f := strings.Fields(word)
		if len(f) != 3 {
			continue
		}
		if left, err := strconv.ParseUint(f[2], 10, 31); err == nil {
			c.Sessions.Adopt(cluster.Handed{SID: f[0], Node: f[1], Left: time.Duration(left) * time.Second})
		}
	}
}
