package affinitytest

import (
	"context"
	"testing"
	"time"
	"unsafe"
)

// patience bounds waits for what must happen; it is not a measure of how fast it should.
const patience = 30 * time.Second

// Eventually calls ok until it returns true. It fails the test, saying what it waited for, when that takes very long.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	for !ok() {
		if ctx.Err() != nil {
			t.Fatalf("waited in vain: %s", what)
		}
		wait(t)
	}
}

// wait lets a little time pass between two looks at a condition.
func wait(t testing.TB) {
	select {
	case <-time.After(5 * time.Millisecond):
	case <-t.Context().Done():
	}
}

// alias is a string whose bytes change, as those of a request's head do.
type alias []byte

func newAlias(s string) alias { return alias(s) }

func (a alias) string() string { return unsafe.String(unsafe.SliceData(a), len(a)) }
func (a alias) set(s string)   { copy(a, s) }
