package control_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/control"
)

// moving is a cluster whose sessions move.
func moving(nodes ...string) config.Cluster {
	c := chat(nodes...)
	c.Sessions = &config.Sessions{Move: true}
	return c
}

func (r replica) watches(sid string) bool {
	return r.Cluster.Sessions.Watches(sid, r.Cluster.Node("n1"))
}

// An order at one replica is carried out by the other one, which has the session's poll, when both have watched the session for long enough.
func TestOrders(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	a, b := start(t, open(t, server), "n1", "n2"), start(t, open(t, server), "n1", "n2")
	order := control.Order{SID: "sid", From: "n1", To: "n2"}
	if _, err := a.Move(t.Context(), "chat", order); !errors.Is(err, control.ErrNoMoves) {
		t.Errorf("in a cluster that moves none: %v", err)
	}
	var tries atomic.Int32
	a.SetMover(func(*cluster.Cluster, control.Order, func(control.Moved)) bool { return false })
	b.SetMover(func(c *cluster.Cluster, o control.Order, told func(control.Moved)) bool {
		if o.Patience = 0; c != b.Cluster || o != order || !a.watches("sid") || !b.watches("sid") || b.Cluster.Sessions.WatchedFor("sid", c.Node("n1")) < 2*time.Second {
			t.Errorf("ordered: %+v, watched by %v and %v", o, a.watches("sid"), b.watches("sid"))
		}
		if tries.Add(1) == 1 {
			go told(control.Moved{Node: "n1", Outcome: "busy"})
		} else {
			go told(control.Moved{Node: "n2", Outcome: "moved"})
		}
		return true
	})
	for _, r := range []replica{a, b} {
		r.Configure(moving("n1", "n2"))
	}
	second := make(chan error, 1)
	go func() {
		affinitytest.Eventually(t, "it is watched", func() bool { return a.watches("sid") })
		_, err := a.Move(t.Context(), "chat", order)
		second <- err
	}()
	m, err := a.Move(t.Context(), "chat", order)
	if err != nil || m != (control.Moved{Node: "n2", Outcome: "moved"}) || tries.Load() != 2 {
		t.Errorf("became %+v (%v) in %d tries", m, err, tries.Load())
	}
	if err := <-second; !errors.Is(err, control.ErrMoving) {
		t.Errorf("a second order: %v", err)
	}
	if a.watches("another") || !b.watches("sid") {
		t.Errorf("watched: another session %v, that one %v", a.watches("another"), b.watches("sid"))
	}
	server.Kill()
	if _, err := a.Move(t.Context(), "chat", control.Order{SID: "other", From: "n1"}); !errors.Is(err, control.ErrStore) {
		t.Errorf("without Redis: %v", err)
	}
}

// What nobody carries out is busy in the end, and then nobody watches the session any more.
func TestOrderOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, end := startUntil(t, nil, "n1", "n2")
		defer end()
		r.Configure(moving("n1", "n2"))
		began := time.Now()
		m, err := r.Move(t.Context(), "chat", control.Order{SID: "sid", From: "n1", Patience: 5 * time.Second})
		if took := time.Since(began); err != nil || m != (control.Moved{Node: "n1", Outcome: "busy"}) || took < 7*time.Second || took > 10*time.Second {
			t.Errorf("became %+v (%v) after %v", m, err, took)
		}
		if !r.watches("sid") {
			t.Error("not watched")
		}
		time.Sleep(30 * time.Second)
		if r.watches("sid") {
			t.Error("still watched")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Move(ctx, "chat", control.Order{SID: "sid", From: "n1"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who leaves: %v", err)
		}
	})
}
