package e2e_test

import (
	"testing"
)

// thirds is 300 sessions, a third of each mode.
var thirds = map[string]int{"polling": 100, "upgrade": 100, "websocket": 100}

// full has four messages in flight and each twentieth as large as a node's default limit lets it be: base64 makes
// 933 kB of 700.
func full(library int) plan {
	return plan{Library: library, Modes: thirds, Window: 4, Large: large{Every: 20, Websocket: 900_000, Polling: 700_000}}
}

// modest is what the Go library bears: one message in flight, no polling payload above 64 KiB, nothing sent while a
// session upgrades.
func modest(library int) plan {
	return plan{
		Library: library, Modes: thirds, Window: 1, UpgradeFirst: true,
		Large: large{Every: 10, Websocket: 48_000, Polling: 48_000},
	}
}

// kept uses connections again, and for any session, as a browser's and a proxy's do.
func kept() plan {
	p := full(4)
	p.SharedAgent = true
	return p
}

// few is modest with 30 sessions, by the client that a package has. They begin mode by mode, so that each node gets some of each.
func few(client string, library int) plan {
	p := modest(library)
	p.Client, p.InTurn, p.Modes = client, true, map[string]int{"polling": 10, "upgrade": 10, "websocket": 10}
	return p
}

// each is a node of each kind that clients of Engine.IO 4 can talk to.
var each = []kind{node48, node47, node46, node31, nodeGo}

// sessionCases are what TestSessions runs, and docs/compatibility.md tells.
var sessionCases = []struct {
	name  string
	nodes []kind
	plan  plan
}{
	{"client 4.8, nodes 4.8", four(node48), full(4)},
	{"client 4.8 on kept connections, nodes 4.8", four(node48), kept()},
	{"client 2.5, nodes 4.8", four(node48), full(2)},
	{"client 2.5, nodes 2.5", four(node25), full(2)},
	{"client 4.8, Go nodes", four(nodeGo), modest(4)},
	{"client 2.5, Go nodes", four(nodeGo), modest(2)},
	{"client 4.8, Node and Go nodes", []kind{node48, nodeGo, node48, nodeGo}, modest(4)},
	{"client 2.5, nodes of all kinds", []kind{node48, nodeGo, node25, node48}, modest(2)},
	{"client 4.8, a node of each", each, few("socket.io-client", 4)},
	{"client 4.7, a node of each", each, few("socket.io-client-4.7", 4)},
	{"client 4.6, a node of each", each, few("socket.io-client-4.6", 4)},
	{"client 3.1, a node of each", each, few("socket.io-client-3", 4)},
	{"client 2.5, a node of each", each, few("socket.io-client-2", 2)},
}

// Real clients through two replicas, where every TCP connection goes to the other one in turn: nothing may go wrong.
func TestSessions(t *testing.T) {
	for _, c := range sessionCases {
		t.Run(c.name, func(t *testing.T) {
			s := startSite(t, pings{}, c.nodes...)
			c.plan.URL = s.front.url()
			driver := startClients(t, c.plan)
			r := driver.exchange(t, 20)
			after := statsOf(t, s.nodes)

			broken := brokenBy(after)
			if len(broken) > len(r.Sessions)/20 {
				t.Errorf("the nodes' library broke %d sessions, so that little can be said", len(broken))
			}
			r.without(broken).flaws(after).check(t)
			if got, want := r.acked(), 20*len(r.Sessions); got != want {
				t.Errorf("%d messages acknowledged, want %d", got, want)
			}
			if apart := spread(after); apart > 4 {
				t.Errorf("fullest and emptiest node differ by %d sessions, want at most 4: %+v", apart, after)
			}
			for _, n := range after {
				if n.Upgraded == 0 || n.Websockets == 0 || n.Sessions <= n.Upgraded+n.Websockets {
					t.Errorf("a node has not had sessions of each mode: %+v", n)
				}
			}
			s.checkRedis(t, r, len(broken))
			// Of a kept connection the front knows only the first request.
			if !c.plan.SharedAgent && !s.front.alternated(r.mode("polling").Sessions) {
				t.Error("the polls of some session did not go to both replicas: this test did not test what it says")
			}
			driver.leave(t)
			s.checkAllLeft(t)
			s.checkEncrypted(t)
			t.Logf("%.1f s, the clients' process waited for the processor up to %.1f s", r.Seconds, r.Lag)
		})
	}
}

// rewriteAfter is a third of the time that a binding lives under pings of 25 and 20 s: 67.5 s.
const rewriteAfter = 22.5

// compareEvery is how often a replica sets and gets two keys to find replicas that are set up differently, in seconds.
const compareEvery = 10

// checkRedis counts what the sessions cost in Redis: one write for each handshake by polling and none for a direct
// connect, one read by each replica that did not make the binding, and a write in a third of the TTL while they poll.
// Where the machine was too crowded for an answer in 100 ms, the replicas did again what they had to, and said so.
// So did the sessions that made `again` handshakes more.
func (s *site) checkRedis(t *testing.T, r report, again int) {
	t.Helper()
	handshakes := len(r.mode("polling").Sessions) + len(r.mode("upgrade").Sessions)
	for _, r := range s.replicas {
		for _, outcome := range []string{"kept", "unanswered", "republished", "lost", "failed"} {
			again += r.metric(t, `sidway_bindings_total{cluster="chat",outcome="`+outcome+`"}`)
		}
	}
	again += len(s.replicas) * (1 + 2*(2+int(r.Seconds/compareEvery))) // 1: each tries at start what it may
	rewrites := int(r.Seconds/rewriteAfter)*handshakes*len(s.replicas) + again
	sets, gets := s.redis.Calls("set"), s.redis.Calls("get")
	if sets < handshakes || sets > handshakes+rewrites {
		t.Errorf("%d SET for %d handshakes by polling, want that and at most %d more in %.1f s", sets, handshakes, rewrites, r.Seconds)
	}
	if limit := handshakes*(len(s.replicas)-1) + again; gets > limit {
		t.Errorf("%d GET, want at most %d: one for each polling session and replica that did not make its binding", gets, limit)
	}
	t.Logf("%d handshakes by polling cost %d SET and %d GET; %d operations were done again", handshakes, sets, gets, again)
}

// checkAllLeft waits until the nodes know of no session: what a client ended has ended at its node.
func (s *site) checkAllLeft(t *testing.T) {
	t.Helper()
	eventually(t, "no session is left at the nodes", func() bool {
		for _, n := range statsOf(t, s.nodes) {
			if n.Live != 0 {
				return false
			}
		}
		return true
	})
}
