package discover_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/gateway/discover"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told is what a source tells, one call after the other: lists as text, and problems.
type told struct {
	t     *testing.T
	calls chan any
}

// run runs a source until the test ends.
func run(t *testing.T, s discover.Source) *told {
	t.Helper()
	l := &told{t, make(chan any, 1000)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, func(f []discover.Found) { l.calls <- describe(f) }, func(err error) { l.calls <- problem{err} })
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run returned %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Run does not end")
		}
	})
	return l
}

type problem struct{ error }

// describe writes a list as name=address*weight, with {zone} and ! for one that terminates.
func describe(list []discover.Found) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, " %s=%s", f.Name, f.Address)
		if f.Weight != 1 {
			fmt.Fprintf(&b, "*%d", f.Weight)
		}
		if zone := f.Labels["zone"]; zone != "" {
			fmt.Fprintf(&b, "{%s}", zone)
		}
		if f.Terminating {
			b.WriteByte('!')
		}
	}
	return strings.TrimSpace(b.String())
}

func (l *told) next() any {
	l.t.Helper()
	select {
	case c := <-l.calls:
		return c
	case <-time.After(20 * time.Second):
		l.t.Fatal("nothing is told")
		return nil
	}
}

// list expects that the next thing told is this list.
func (l *told) list(nodes ...string) {
	l.t.Helper()
	slices.Sort(nodes)
	if got, want := l.next(), strings.Join(nodes, " "); got != any(want) {
		l.t.Fatalf("told:\n%v\nwant:\n%s", got, want)
	}
}

// problem expects that the next thing told is a problem with this in its text.
func (l *told) problem(parts ...string) error {
	l.t.Helper()
	p, ok := l.next().(problem)
	if !ok || p.error == nil {
		l.t.Fatalf("told %v, want a problem with %q", p, parts)
	}
	for _, part := range parts {
		if !strings.Contains(p.Error(), part) {
			l.t.Fatalf("told %q, want %q in it", p, part)
		}
	}
	return p.error
}

// over expects that the next thing told is that the problem is over.
func (l *told) over() {
	l.t.Helper()
	if got := l.next(); got != any(problem{nil}) {
		l.t.Fatalf("told %v, want that the problem is over", got)
	}
}

// refused expects that a source cannot run.
func refused(t *testing.T, s discover.Source, part string) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	fail := func() { cancel(errors.New("it runs")) }
	err := s.Run(ctx, func([]discover.Found) { fail() }, func(error) { fail() })
	if err == nil || context.Cause(ctx) != nil || !strings.Contains(err.Error(), part) {
		t.Errorf("Run of %+v returned %v (%v), want %q in it", s, err, context.Cause(ctx), part)
	}
}
