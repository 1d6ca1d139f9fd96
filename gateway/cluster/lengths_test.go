package cluster_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
)

// TestLengths: each session is counted once, by what carried it when it ended.
func TestLengths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: []cluster.Config{{Name: "n1", Address: "127.0.0.1:1", Weight: 1}}})
		n, s := c.Node("n1"), c.Sessions
		open := func(sid string, ttl time.Duration) {
			if _, err := c.Pick(cluster.Want{}); err != nil {
				t.Fatal(err)
			}
			s.Open(sid, n, time.Now().Add(ttl))
		}
		time.Sleep(3 * time.Second)
		open("polls", time.Hour)
		open("upgrades", time.Hour)
		open("vanishes", 90*time.Second)
		direct := s.Connected(n)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx, func(context.Context, string) time.Time { return time.Time{} }) }()
		time.Sleep(5 * time.Second)
		s.End("polls")
		s.End("unheard of")
		s.Upgraded("upgrades", n, time.Now().Add(time.Minute), 0)
		s.Upgraded("of another replica", n, time.Now().Add(time.Minute), 0)
		time.Sleep(40 * time.Second)
		s.Disconnected(n, direct)
		s.ProbeFailed("of another replica", time.Now().Add(time.Hour))
		time.Sleep(400 * time.Second)
		s.End("upgrades")
		stop()
		<-done
		for end, want := range map[cluster.End]cluster.Lengths{
			cluster.EndPolling:   {Counts: [9]uint64{1: 1}, Sum: 5},
			cluster.EndWebSocket: {Counts: [9]uint64{2: 1, 4: 1}, Sum: 45 + 445},
			cluster.EndUnknown:   {Counts: [9]uint64{3: 1}, Sum: 91},
		} {
			if got := s.Lengths(end); got.Counts != want.Counts || max(got.Sum, want.Sum)-min(got.Sum, want.Sum) > 2 {
				t.Errorf("%v: %v, want %v", end, got, want)
			}
		}
	})
}
