package control_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/control"
)

// peered starts the Board of a replica that tells others of itself.
func peered(t *testing.T, client redis.UniversalClient, name string) (*control.Board, func()) {
	t.Helper()
	b := control.NewBoard(slog.New(slog.DiscardHandler))
	b.Self = func() control.Self {
		return control.Self{Name: name, Version: "v1", Started: time.Unix(1, 0), Sessions: 7, Stopping: name == "b"}
	}
	b.Answer = func(sid string) string { return name + " of " + sid }
	return b, runBoard(t, b, client)
}

// runBoard has a Board run until the test ends, or the function is called that it returns.
func runBoard(t *testing.T, b *control.Board, client redis.UniversalClient) (end func()) {
	t.Helper()
	b.Use(client, "sidway:")
	b.Add(control.NewNodes(chat("n1"), func() {}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, func(*cluster.Node, int, cluster.Removal) int { return 0 }) }()
	end = func() {
		cancel()
		<-done
		done <- nil
	}
	t.Cleanup(end)
	return end
}

func names(b *control.Board) string {
	text := ""
	for _, p := range b.Peers() {
		text += fmt.Sprintf("%s %s %d %v %v;", p.Name, p.Version, p.Sessions, p.Stopping, p.Started.Unix())
	}
	return text
}

// Replicas know each other, not those that died before they came, and one that ends is forgotten at once. What is heard no more gets
// old.
func TestReplicasKnowEachOther(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	server.Do("HSET", "sidway:!replicas", "dead", `{"n":"dead"}`)
	server.Do("HSET", "sidway:!replicas", "strange", "what is this")
	a, _ := peered(t, open(t, server), "a")
	b, _ := peered(t, open(t, server), "b")
	_, endC := peered(t, open(t, server), "c")
	affinitytest.Eventually(t, "all know of the others", func() bool {
		return names(a) == "b v1 7 true 1;c v1 7 false 1;" && names(b) == "a v1 7 false 1;c v1 7 false 1;"
	})
	endC()
	affinitytest.Eventually(t, "one has ended", func() bool { return names(a) == "b v1 7 true 1;" })
	server.Kill()
	affinitytest.Eventually(t, "what was heard gets old", func() bool {
		peers := a.Peers()
		return len(peers) == 1 && time.Since(peers[0].Heard) > 3*time.Second
	})
	a.Use(nil, "")
	if n := len(a.Peers()); n > 0 {
		t.Errorf("%d others without Redis", n)
	}
}

// A replica that is silent is missed until one of its name is there again, but not one that ended, or said that it stops.
func TestMissingReplicas(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	ways := map[string]*redis.Client{}
	for _, name := range []string{"b", "c"} {
		ways[name] = redis.NewClient(&redis.Options{Addr: server.Addr()})
		defer ways[name].Close()
	}
	a, _ := peered(t, open(t, server), "a")
	peered(t, ways["b"], "b")
	peered(t, ways["c"], "c")
	_, endD := peered(t, open(t, server), "d")
	affinitytest.Eventually(t, "it knows the others", func() bool { return len(a.Peers()) == 3 })
	if len(missing(a)) > 0 {
		t.Error("one is missed from the start")
	}
	endD()
	ways["b"].Close()
	affinitytest.Eventually(t, "one that stops is silent", func() bool {
		peers := a.Peers()
		return len(peers) == 2 && time.Since(peers[0].Heard) > 3*time.Second
	})
	if len(missing(a)) > 0 {
		t.Error("one that ended or stops is missed")
	}
	ways["c"].Close()
	affinitytest.Eventually(t, "one is missed", func() bool { return slices.Equal(missing(a), []string{"c"}) })
	server.Do("DEL", "sidway:!replicas") // as after a minute
	there := func(want string) func() bool { return func() bool { return names(a) == want } }
	affinitytest.Eventually(t, "one that died is told of", there("c v1 7 false 1;"))
	peered(t, open(t, server), "c")
	affinitytest.Eventually(t, "it is there again", func() bool { return len(missing(a)) == 0 })
	affinitytest.Eventually(t, "once", there("c v1 7 false 1;"))
	may := func() bool {
		_, may := a.Missing()
		return may
	}
	affinitytest.Eventually(t, "all are there", func() bool { return !may() })
	server.Pause()
	affinitytest.Eventually(t, "it does not hear whether they are", may)
	server.Resume()
	affinitytest.Eventually(t, "it hears them again", func() bool { return !may() })
}

// missing names the replicas that are missing for b.
func missing(b *control.Board) []string {
	names, _ := b.Missing()
	return names
}

// A replica that does not reach Redis knows when the others will miss it, and they do by then. One that says that Redis is too slow for it is missed
// although it is heard.
func TestWhenOneIsMissed(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	way := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer way.Close()
	alone, _ := peered(t, open(t, server), "a")
	affinitytest.Eventually(t, "it has told of itself", func() bool { return server.Client().HLen(t.Context(), "sidway:!replicas").Val() == 1 })
	if at := alone.Missed(); !at.IsZero() {
		t.Errorf("one that is alone will be missed at %v", at)
	}
	b, _ := peered(t, way, "c")
	affinitytest.Eventually(t, "they know each other", func() bool { return len(alone.Peers()) == 1 && len(b.Peers()) == 1 })
	way.Close()
	affinitytest.Eventually(t, "the time is near", func() bool { return time.Until(b.Missed()) < 1250*time.Millisecond })
	if len(missing(alone)) > 0 {
		t.Error("it is missed at once")
	}
	time.Sleep(time.Until(b.Missed()))
	affinitytest.Eventually(t, "it is missed", func() bool { return slices.Equal(missing(alone), []string{"c"}) })

	var away atomic.Bool
	slow := control.NewBoard(slog.New(slog.DiscardHandler))
	slow.Self = func() control.Self { return control.Self{Name: "slow", Away: away.Load()} }
	runBoard(t, slow, open(t, server))
	affinitytest.Eventually(t, "it is known", func() bool { return len(alone.Peers()) == 2 })
	if got := missing(alone); !slices.Equal(got, []string{"c"}) {
		t.Errorf("missed: %v", got)
	}
	away.Store(true)
	affinitytest.Eventually(t, "it is missed", func() bool { return slices.Equal(missing(alone), []string{"c", "slow"}) })
	affinitytest.Eventually(t, "it knows", func() bool { return time.Until(slow.Missed()) < 0 })
	away.Store(false)
	affinitytest.Eventually(t, "it is well again", func() bool { return slices.Equal(missing(alone), []string{"c"}) })
}
