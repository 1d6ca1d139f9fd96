// Package affinitytest holds the suite that every affinity.Store passes, and starts the real Redis servers that tests
// need: one, with TLS, behind Sentinels, or as a Cluster.
//
//	func TestMemory(t *testing.T) {
//		affinitytest.Run(t, func(t *testing.T) affinity.Store { return affinity.NewMemory(100) })
//	}
//
// It is for tests only and does not make a server safe to use for anything else.
package affinitytest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
)

// Example is a binding with every field in use.
var Example = affinity.Binding{
	Node: "n1", Version: 4, PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, MaxPayload: 1_000_000,
}

// Run runs the suite. newStore returns an empty store that holds at least 1,000 bindings.
func Run(t *testing.T, newStore func(t *testing.T) affinity.Store) {
	for name, story := range map[string]func(*testing.T, affinity.Store){
		"unknown":    unknown,
		"bound":      bound,
		"renewed":    renewed,
		"taken":      taken,
		"unbound":    unbound,
		"expired":    expired,
		"odd":        odd,
		"aliased":    aliased,
		"proven":     proven,
		"left":       left,
		"concurrent": concurrent,
	} {
		t.Run(name, func(t *testing.T) { story(t, newStore(t)) })
	}
}

func unknown(t *testing.T, s affinity.Store) {
	for _, sid := range []string{"nobody", "", "x~._-"} {
		absent(t, s, sid)
	}
	unbind(t, s, "nobody")
}

func bound(t *testing.T, s affinity.Store) {
	before := time.Now()
	bind(t, s, "sid", Example)
	got := lookup(t, s, "sid")
	latest := time.Now().Add(Example.TTL())
	if got.Expires.After(latest) || got.Expires.Before(before.Add(Example.TTL()-time.Second)) {
		t.Errorf("Expires is %v before the end of the TTL", latest.Sub(got.Expires))
	}
	if got.Due(time.Now()) {
		t.Error("due at once")
	}
	if got.Expires = (time.Time{}); got != Example {
		t.Errorf("got %+v, want %+v", got, Example)
	}
	absent(t, s, "sid2")
}

// renewed: the second Bind restarts the TTL. A look-up tells the end at most as much too early as its answer took, so what
// is told before the second Bind is bounded from above, and a slow answer after it is asked for again.
func renewed(t *testing.T, s affinity.Store) {
	bind(t, s, "sid", Example)
	asked := time.Now()
	latest := lookup(t, s, "sid").Expires.Add(time.Since(asked) + time.Millisecond)
	for latest.After(time.Now().Add(Example.TTL() - 20*time.Millisecond)) {
		wait(t)
	}
	bind(t, s, "sid", Example)
	for end := time.Now().Add(10 * time.Second); !lookup(t, s, "sid").Expires.After(latest); {
		if time.Now().After(end) {
			t.Fatal("bound again, but does not expire later")
		}
	}
}

// taken: a sid that lives on one node is not bound to another before it is unbound. The node itself may bind it again.
func taken(t *testing.T, s affinity.Store) {
	bind(t, s, "sid", Example)
	again, other := Example, Example
	again.MaxPayload = 5
	other.Node = "n2"
	refused := func() {
		t.Helper()
		Eventually(t, "a Bind that is refused", func() bool {
			err := s.Bind(t.Context(), "sid", other)
			if err == nil {
				t.Fatal("the sid was bound to a second node")
			}
			taken, ok := errors.AsType[*affinity.TakenError](err)
			if ok && (taken.Node != "n1") {
				t.Errorf("%v, on node %q", err, taken.Node)
			}
			return ok
		})
		if got := lookup(t, s, "sid"); got.Node != "n1" {
			t.Errorf("got %+v", got)
		}
	}
	refused()
	bind(t, s, "sid", again)
	if got := lookup(t, s, "sid"); got.MaxPayload != 5 {
		t.Errorf("got %+v", got)
	}
	refused()
	unbind(t, s, "sid")
	bind(t, s, "sid", other)
	if got := lookup(t, s, "sid"); got.Node != "n2" {
		t.Errorf("got %+v", got)
	}
}

func unbound(t *testing.T, s affinity.Store) {
	bind(t, s, "sid", Example)
	bind(t, s, "other", Example)
	unbind(t, s, "sid")
	absent(t, s, "sid")
	lookup(t, s, "other")
}

// expired uses the shortest TTL there is, 15 s and a little, and so runs beside the other tests.
func expired(t *testing.T, s affinity.Store) {
	t.Parallel()
	brief := Example
	brief.PingInterval, brief.PingTimeout = time.Millisecond, time.Millisecond
	bind(t, s, "sid", brief)
	ends := lookup(t, s, "sid").Expires
	for {
		_, err := s.Lookup(t.Context(), "sid")
		if errors.Is(err, affinity.ErrNotFound) {
			break
		}
		if err != nil && !errors.Is(err, affinity.ErrUnavailable) || time.Now().After(ends.Add(5*time.Second)) {
			t.Fatalf("5 s after its end: %v", err)
		}
		wait(t)
	}
	if early := time.Until(ends); early > time.Second {
		t.Errorf("gone %v before its end", early)
	}
}

func odd(t *testing.T, s affinity.Store) {
	for i, b := range []affinity.Binding{
		{Node: "n"},
		{Node: "knoten 1;ä=%25+/\x00\n", Version: 3},
		{Node: strings.Repeat("n", 300), Version: 4, MaxPayload: 1<<63 - 1},
		{Node: "n", Version: 4, PingInterval: time.Millisecond, PingTimeout: 24 * time.Hour},
		{Node: "n", Version: 4, Ends: 1<<63 - 1},
		{Node: "n", Version: 4, Ends: 1800000000},
	} {
		sid := fmt.Sprint(strings.Repeat("s", 120), i)
		bind(t, s, sid, b)
		got := lookup(t, s, sid)
		if got.Expires = (time.Time{}); got != b {
			t.Errorf("got %+v, want %+v", got, b)
		}
	}
}

// aliased: a sid is part of a buffer that the caller uses again.
func aliased(t *testing.T, s affinity.Store) {
	buffer := newAlias("first")
	bind(t, s, buffer.string(), Example)
	lookup(t, s, buffer.string())
	buffer.set("other")
	absent(t, s, buffer.string())
	lookup(t, s, "first")
}

// proven: a session is bound unproven, then as proven, and what its poll is answered with has a key of its own.
func proven(t *testing.T, s affinity.Store) {
	b := Example
	b.Unproven = true
	bind(t, s, "sid", b)
	refused := b
	refused.Refusal = "44{}\x1e44/a b,{}"
	bind(t, s, affinity.RefusalOf("sid"), refused)
	if got := lookup(t, s, "sid"); !got.Unproven || got.Refusal != "" {
		t.Errorf("got %+v", got)
	}
	if got := lookup(t, s, affinity.RefusalOf("sid")); got.Refusal != refused.Refusal {
		t.Errorf("got %+v", got)
	}
	b.Unproven, b.Ends = false, 1800000000
	bind(t, s, "sid", b)
	if got := lookup(t, s, "sid"); got.Unproven || got.Ends != b.Ends {
		t.Errorf("got %+v", got)
	}
	unbind(t, s, affinity.RefusalOf("sid"))
	absent(t, s, affinity.RefusalOf("sid"))
}

// left: a caller that has gone is neither "not found" nor "unavailable".
func left(t *testing.T, s affinity.Store) {
	bind(t, s, "sid", Example)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	passed, stop := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer stop()
	for ctx, want := range map[context.Context]error{canceled: context.Canceled, passed: context.DeadlineExceeded} {
		_, lookupErr := s.Lookup(ctx, "sid")
		for what, err := range map[string]error{
			"Lookup": lookupErr, "Bind": s.Bind(ctx, "sid", Example), "Unbind": s.Unbind(ctx, "sid"),
		} {
			if !errors.Is(err, want) || errors.Is(err, affinity.ErrUnavailable) || errors.Is(err, affinity.ErrNotFound) {
				t.Errorf("%s = %v, want %v", what, err, want)
			}
		}
	}
	lookup(t, s, "sid")
}

func concurrent(t *testing.T, s affinity.Store) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 40 {
				mine, shared := fmt.Sprintf("g%d-%d", g, i), fmt.Sprintf("shared-%d", i)
				own := Example
				own.Node = mine
				for sid, b := range map[string]affinity.Binding{mine: own, shared: Example} {
					if err := s.Bind(t.Context(), sid, b); unlike(err) {
						t.Errorf("Bind: %v", err)
					}
					got, err := s.Lookup(t.Context(), sid)
					if unlike(err) || err == nil && got.Node != b.Node {
						t.Errorf("Lookup = %q, %v, want %q", got.Node, err, b.Node)
					}
				}
				if err := s.Unbind(t.Context(), mine); unlike(err) {
					t.Errorf("Unbind: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// unlike reports whether err is none of what a working store on a busy machine may return.
func unlike(err error) bool { return err != nil && !errors.Is(err, affinity.ErrUnavailable) }

// bind and lookup are patient: on a busy machine a store that has a time limit of 100 ms may miss it.
func bind(t *testing.T, s affinity.Store, sid string, b affinity.Binding) {
	t.Helper()
	Eventually(t, "a Bind", func() bool {
		err := s.Bind(t.Context(), sid, b)
		if err != nil && !errors.Is(err, affinity.ErrUnavailable) {
			t.Fatalf("Bind: %v", err)
		}
		return err == nil
	})
}

func lookup(t *testing.T, s affinity.Store, sid string) (b affinity.Binding) {
	t.Helper()
	Eventually(t, "a Lookup", func() bool {
		var err error
		b, err = s.Lookup(t.Context(), sid)
		if err != nil && !errors.Is(err, affinity.ErrUnavailable) {
			t.Fatalf("Lookup: %v", err)
		}
		return err == nil
	})
	return b
}

// absent waits for a clear answer that sid is not bound.
func absent(t *testing.T, s affinity.Store, sid string) {
	t.Helper()
	Eventually(t, "a Lookup", func() bool {
		_, err := s.Lookup(t.Context(), sid)
		if !errors.Is(err, affinity.ErrUnavailable) && !errors.Is(err, affinity.ErrNotFound) {
			t.Fatalf("Lookup(%q) = %v, want ErrNotFound", sid, err)
		}
		return errors.Is(err, affinity.ErrNotFound)
	})
}

func unbind(t *testing.T, s affinity.Store, sid string) {
	t.Helper()
	Eventually(t, "an Unbind", func() bool {
		err := s.Unbind(t.Context(), sid)
		if err != nil && !errors.Is(err, affinity.ErrUnavailable) {
			t.Fatalf("Unbind: %v", err)
		}
		return err == nil
	})
}
