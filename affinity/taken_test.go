package affinity_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// onNode is a binding to that node.
func onNode(name string) affinity.Binding {
	b := affinitytest.Example
	b.Node = name
	return b
}

// A sid that two nodes hand out stays with the first, whichever replica saw the second, and all replicas agree on that. It
// costs one command more, and only then.
func TestReplicasAgreeOnTheFirstNode(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	a, b := newReplica(t, server.URL()), newReplica(t, server.URL())
	eventuallyBind(t, a, "sid")
	a.settle(t)
	b.settle(t)
	for _, r := range []replica{a, b} {
		affinitytest.Eventually(t, "a Bind that is refused", func() bool {
			err := r.Bind(t.Context(), "sid", onNode("n2"))
			_, taken := errors.AsType[*affinity.TakenError](err)
			if err == nil || unlike(err) && !taken {
				t.Fatalf("Bind = %v", err)
			}
			r.settle(t)
			return taken
		})
	}
	for _, r := range []replica{a, b, newReplica(t, server.URL())} {
		if got, err := r.hold(t.Context(), "sid"); err != nil || got.Node != "n1" {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

// A binding that was kept while the store was down gives way to the one that another replica wrote meanwhile.
func TestCachedGivesUpWhatWasTakenMeanwhile(t *testing.T) {
	var refused, node string
	told := 0
	s, n := newShelf(), newTally()
	storyWith(t, s, affinity.CachedOptions{
		OnOutcome: n.add,
		OnTaken:   func(r, there string) { refused, node, told = r, there, told+1 },
	}, func(t *testing.T, c *affinity.Cached) {
		s.set(func() { s.fault = errDown })
		for sid, b := range map[string]affinity.Binding{"sid": onNode("n2"), "same": onNode("n1"), "free": onNode("n2")} {
			if err := c.Bind(t.Context(), sid, b); !errors.Is(err, affinity.ErrUnavailable) {
				t.Fatal(err)
			}
		}
		err := c.Bind(t.Context(), "sid", onNode("n3"))
		if taken, ok := errors.AsType[*affinity.TakenError](err); !ok || taken.Node != "n2" {
			t.Errorf("what is kept here is not kept: %v", err)
		}
		s.store("sid", onNode("n1"))
		s.store("same", onNode("n1"))
		s.set(func() { s.fault = nil })
		<-c.Again()
		time.Sleep(time.Second)
		for sid, want := range map[string]string{"sid": "n1", "same": "n1", "free": "n2"} {
			if b, err := c.Lookup(t.Context(), sid); err != nil || b.Node != want || s.node(sid) != want {
				t.Errorf("%s lives on %q, in the store on %q, want %q: %v", sid, b.Node, s.node(sid), want, err)
			}
		}
		if told != 1 || refused != "n2" || node != "n1" || n.of(affinity.Stored) != 2 {
			t.Errorf("told %d times, last of %q for %q; %d stored", told, refused, node, n.of(affinity.Stored))
		}
	})
}
