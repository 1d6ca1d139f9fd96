package affinity_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

func TestMemoryIsBoundedAndKeepsWhatIsUsed(t *testing.T) {
	m := affinity.NewMemory(10)
	for i := range 100 {
		must(t, m.Bind(t.Context(), fmt.Sprint("sid", i), affinitytest.Example))
		if _, err := m.Lookup(t.Context(), "sid0"); err != nil {
			t.Fatalf("after %d others: %v", i, err)
		}
	}
	if m.Len() != 10 {
		t.Errorf("holds %d", m.Len())
	}
	for _, size := range []int{-1, 0, 1} {
		m := affinity.NewMemory(size)
		must(t, m.Bind(t.Context(), "sid", affinitytest.Example))
		if _, err := m.Lookup(t.Context(), "sid"); err != nil {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

func TestMemoryHoldsWhatItWasMadeFor(t *testing.T) {
	const size = 100_000
	m := affinity.NewMemory(size)
	for i := range size {
		must(t, m.Bind(t.Context(), fmt.Sprint("sid", i), affinitytest.Example))
	}
	if m.Len() < size*999/1000 || m.Len() > size {
		t.Errorf("holds %d of %d", m.Len(), size)
	}
}

func TestMemoryExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := affinity.NewMemory(1000)
		for i := range 500 {
			must(t, m.Bind(t.Context(), fmt.Sprint("sid", i), affinitytest.Example))
		}
		time.Sleep(affinitytest.Example.TTL() - 1)
		if b, err := m.Lookup(t.Context(), "sid0"); err != nil || time.Until(b.Expires) != 1 {
			t.Errorf("a moment before its end: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := m.Lookup(t.Context(), "sid0"); !errors.Is(err, affinity.ErrNotFound) {
			t.Errorf("at its end: %v", err)
		}
		// New bindings bury the old ones, so that the memory follows the live ones.
		for i := range 300 {
			must(t, m.Bind(t.Context(), fmt.Sprint("new", i), affinitytest.Example))
		}
		if m.Len() > 301 {
			t.Errorf("holds %d, of which 300 live", m.Len())
		}
	})
}

func TestLookupOfWhatIsKnownDoesNotAllocate(t *testing.T) {
	m := affinity.NewMemory(100_000)
	c := affinity.NewCached(m, newShelf(), affinity.CachedOptions{OnOutcome: func(affinity.Outcome) {}})
	must(t, c.Bind(t.Context(), "sid", affinitytest.Example))
	ctx := t.Context()
	for name, s := range map[string]affinity.Store{"Memory": m, "Cached": c} {
		if n := testing.AllocsPerRun(1000, func() {
			if _, err := s.Lookup(ctx, "sid"); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations for a look-up", name, n)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMemoryChangesItsSize(t *testing.T) {
	for _, size := range []int{100, 100_000} {
		m := affinity.NewMemory(size)
		evicted := map[bool]int{}
		m.OnEvict = func(used bool) { evicted[used]++ }
		for i := range size {
			must(t, m.Bind(t.Context(), fmt.Sprint("sid", i), affinitytest.Example))
		}
		m.SetSize(size / 2)
		if n := m.Len(); n > size/2+size/2/16 || n < size*49/100 || evicted[true] > 0 || evicted[false] < size-n {
			t.Errorf("half of %d: holds %d, evicted %v", size, n, evicted)
		}
		m.SetSize(4 * size)
		for i := range 4 * size {
			must(t, m.Bind(t.Context(), fmt.Sprint("sid", i), affinitytest.Example))
		}
		if n := m.Len(); n < 4*size*999/1000 {
			t.Errorf("four times %d: holds %d", size, n)
		}
	}
}
