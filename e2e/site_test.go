package e2e_test

import (
	"testing"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// site is what one owner of a service runs: nodes, a Redis, replicas that share it, and a balancer before them that
// knows nothing of sessions.
type site struct {
	nodes    []*node
	redis    *affinitytest.Redis
	replicas []*replica
	front    *front
}

// startSite starts a node of each kind behind two replicas.
func startSite(t *testing.T, p pings, kinds ...kind) *site {
	t.Helper()
	s := &site{redis: affinitytest.StartRedis(t), nodes: startNodes(t, p, kinds...)}
	for range 2 {
		s.replicas = append(s.replicas, startReplica(t, s.redis.URL(), s.nodes))
	}
	s.front = startFront(t, s.replicas[0].listen, s.replicas[1].listen)
	return s
}

// four names the kinds of a cluster of one kind.
func four(k kind) []kind { return []kind{k, k, k, k} }

// small is a plan that keeps every session busy without large messages, for tests of faults.
func (s *site) small(modes map[string]int) plan {
	return plan{URL: s.front.url(), Library: 4, Modes: modes, Window: 2}
}
