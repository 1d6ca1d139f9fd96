package recovery_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/recovery"
)

// A session is claimed by one replica, while no POST and no upgrade is on its way, and meanwhile none begins.
func TestWay(t *testing.T) {
	s, c, _ := open(t)
	ctx, began := context.Background(), time.Now()
	claim := func(want bool, owed ...string) {
		t.Helper()
		got, claimed, err := s.Claim(ctx, "sid", began)
		if slices.Sort(got); err != nil || claimed != want || !slices.Equal(got, owed) {
			t.Errorf("claimed %v, owed %v, %v", claimed, got, err)
		}
	}
	enter := func(w recovery.Way, want bool, asked ...string) {
		t.Helper()
		if entered, err := s.Enter(ctx, "sid", w, asked, nil); err != nil || entered != want {
			t.Errorf("%s enters: %v, %v", w, entered, err)
		}
	}
	enter(recovery.Post, true, "node 1 /", "node 2 /")
	claim(false)
	if err := s.Leave(ctx, "sid", recovery.Post); err != nil {
		t.Error(err)
	}
	claim(true, "node 1 /", "node 2 /")
	claim(false)
	enter(recovery.Post, false, "node 3 /")
	enter(recovery.Upgrade, false)
	if err := s.Release(ctx, "sid"); err != nil {
		t.Error(err)
	}
	if err := s.Owe(ctx, "sid", []string{"client 1 /"}, []string{"node 1 /"}); err != nil {
		t.Error(err)
	}
	claim(true, "client 1 /", "node 2 /")
	_ = s.Release(ctx, "sid")
	if owed, claimed, err := s.Claim(ctx, "sid", time.Now().Add(time.Minute)); len(owed) > 0 || !claimed || err != nil {
		t.Errorf("of what was asked for before: %v, %v, %v", owed, claimed, err)
	}
	_ = s.Release(ctx, "sid")
	enter(recovery.Upgrade, true)
	claim(false)
	for _, key := range c.Keys(ctx, "sidway-way:*").Val() {
		if ttl := c.PTTL(ctx, key).Val(); ttl <= 0 || ttl > 10*time.Minute {
			t.Errorf("%s is kept for %v", key, ttl)
		}
	}
}
