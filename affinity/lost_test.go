package affinity_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// What Redis evicts, or loses when it is emptied, is told when it is renewed, and is there again. What was never there, has
// expired, or was unbound elsewhere before Redis was started again with its data, is no loss.
func TestLostBindingsAreTold(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	affinitytest.Eventually(t, "a story without late answers", func() bool {
		l := &loser{Redis: affinity.NewRedis(open(t, server.URL()), "p:"), server: server}
		l.OnLost = func(n int) { l.lost += n }
		server.Do("FLUSHALL")
		return l.story(t)
	})
}

// loser is a store whose Redis loses bindings.
type loser struct {
	*affinity.Redis
	server *affinitytest.Redis
	lost   int
}

// story returns false where an operation failed, as any may on a busy machine.
func (l *loser) story(t *testing.T) bool {
	var batch []affinity.Entry
	for i := range 300 {
		batch = append(batch, affinity.Entry{SID: fmt.Sprint("sid", i), Binding: renewal(time.Minute)})
	}
	for _, step := range []struct {
		what   string
		before func()
		do     func() error
		want   int // lost in all after it
	}{
		{"a first binding", func() {}, l.binds(t, affinitytest.Example), 0},
		{"a renewal", func() {}, l.binds(t, renewal(time.Minute)), 0},
		{"an eviction", func() { l.server.Do("DEL", "p:a") }, l.binds(t, renewal(time.Minute)), 1},
		{"an end in time", func() { l.server.Do("DEL", "p:a") }, l.binds(t, renewal(time.Second/2)), 1},
		{"a first Probe", func() {}, l.probes(t, true), 1},
		{"a batch that a Redis with its data lacks", func() {}, l.bindsAll(t, batch[:100]), 1},
		{"a Redis that is emptied", func() { l.server.Do("FLUSHALL") }, l.probes(t, false), 1},
		{"what it lacks", func() {}, l.bindsAll(t, batch), 301},
		{"what was written again", func() {}, l.bindsAll(t, batch), 301},
		{"a restart with the data", func() { l.server.Do("SAVE"); l.server.Restart() }, l.probes(t, false), 301},
		{"what was unbound before", func() { l.server.Do("DEL", "p:sid1") }, l.bindsAll(t, batch), 301},
	} {
		step.before()
		if err := step.do(); err != nil {
			t.Logf("%s: %v", step.what, err)
			return false
		}
		if l.lost != step.want {
			t.Fatalf("%s: %d lost, want %d", step.what, l.lost, step.want)
		}
	}
	for _, e := range batch {
		if n := l.server.Do("EXISTS", "p:"+e.SID); n != "1" {
			t.Fatalf("%s is not there again: %q", e.SID, n)
		}
	}
	return true
}

func (l *loser) binds(t *testing.T, b affinity.Binding) func() error {
	return func() error { return l.Bind(t.Context(), "a", b) }
}

func (l *loser) bindsAll(t *testing.T, batch []affinity.Entry) func() error {
	return func() error {
		_, err := l.BindAll(t.Context(), batch)
		return err
	}
}

func (l *loser) probes(t *testing.T, want bool) func() error {
	return func() error {
		intact, err := l.Probe(t.Context())
		if err == nil && intact != want {
			t.Fatalf("intact is %v", intact)
		}
		return err
	}
}

// renewal is a binding that Lookup returned, with so much of its time left.
func renewal(left time.Duration) affinity.Binding {
	b := affinitytest.Example
	b.Expires = time.Now().Add(left)
	return b
}
