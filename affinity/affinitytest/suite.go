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
		"moved":      moved,
		"unbound":    unbound,
		"expired":    expired,
		"odd":        odd,
		"aliased":    aliased,
		"left":       left,
		"concurrent": concurrent,
	} {
		t.Run(name, func(t *testing.T) { story(t, newStore(t)) })
	}
}

func unknown(t *testing.T, s affinity.Store) {
	for _, sid := range []string{"nobody", "", "x~._-"} {
		if _, err := s.Lookup(t.Context(), sid); !errors.Is(err, affinity.ErrNotFound) || errors.Is(err, affinity.ErrUnavailable) {
			t.Errorf("Lookup(%q) = %v, want ErrNotFound", sid, err)
		}
	}
	if err := s.Unbind(t.Context(), "nobody"); err != nil {
		t.Errorf("Unbind of an unknown sid = %v", err)
	}
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
	if _, err := s.Lookup(t.Context(), "sid2"); !errors.Is(err, affinity.ErrNotFound) {
		t.Errorf("another sid: %v", err)
	}
}

func renewed(t *testing.T, s affinity.Store) {
	bind(t, s, "sid", Example)
	first := lookup(t, s, "sid")
	for first.Expires.After(time.Now().Add(Example.TTL() - 20*time.Millisecond)) {
		wait(t)
	}
	bind(t, s, "sid", Example)
	if again := lookup(t, s, "sid"); !again.Expires.After(first.Expires) {
		t.Errorf("bound again, but expires %v earlier", first.Expires.Sub(again.Expires))
	}
}

// moved: no real session moves, but the last word counts.
func moved(t *testing.T, s affinity.Store) {
	bind(t, s, "sid", Example)
	other := Example
	other.Node, other.Version = "n2", 3
	bind(t, s, "sid", other)
	if got := lookup(t, s, "sid"); got.Node != "n2" || got.Version != 3 {
		t.Errorf("got %+v", got)
	}
}

func unbound(t *testing.T, s affinity.Store) {
	bind(t, s, "sid", Example)
	bind(t, s, "other", Example)
	if err := s.Unbind(t.Context(), "sid"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lookup(t.Context(), "sid"); !errors.Is(err, affinity.ErrNotFound) {
		t.Errorf("after Unbind: %v", err)
	}
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
		if err != nil || time.Now().After(ends.Add(5*time.Second)) {
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
	if _, err := s.Lookup(t.Context(), buffer.string()); !errors.Is(err, affinity.ErrNotFound) {
		t.Errorf("the bytes of another sid: %v", err)
	}
	lookup(t, s, "first")
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
					if err := s.Bind(t.Context(), sid, b); err != nil {
						t.Errorf("Bind: %v", err)
					}
					if got, err := s.Lookup(t.Context(), sid); err != nil || got.Node != b.Node {
						t.Errorf("Lookup = %q, %v, want %q", got.Node, err, b.Node)
					}
				}
				if err := s.Unbind(t.Context(), mine); err != nil {
					t.Errorf("Unbind: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func bind(t *testing.T, s affinity.Store, sid string, b affinity.Binding) {
	t.Helper()
	if err := s.Bind(t.Context(), sid, b); err != nil {
		t.Fatalf("Bind: %v", err)
	}
}

func lookup(t *testing.T, s affinity.Store, sid string) affinity.Binding {
	t.Helper()
	b, err := s.Lookup(t.Context(), sid)
	if err != nil {
		t.Fatalf("Lookup: %v", err)
	}
	return b
}
