package affinity_test

import (
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// A replica that knows where a session has lived before it moved keeps alive where it lives now.
func TestRenewOfABindingThatHasMoved(t *testing.T) {
	story(t, func(t *testing.T, c *affinity.Cached, s *shelf, _ *tally) {
		if err := c.Bind(t.Context(), "sid", affinitytest.Example); err != nil {
			t.Fatal(err)
		}
		known, _ := c.Known("sid")
		other := affinity.NewCached(affinity.NewMemory(10), s, affinity.CachedOptions{})
		moved := affinitytest.Example
		moved.Node, moved.Alias = "n2", "there"
		if err := other.Rebind(t.Context(), "sid", moved); err != nil {
			t.Fatal(err)
		}
		renew := func(want int) {
			t.Helper()
			b, err := c.Renew(t.Context(), "sid", known)
			if err != nil || b.Node != "n2" || b.Alias != "there" || s.node("sid") != "n2" || s.count("Bind") != want {
				t.Errorf("renewed as %+v (%v), and the store has %s after %d writes, want %d", b, err, s.node("sid"), s.count("Bind"), want)
			}
		}
		renew(2) // the other replica has just written it
		time.Sleep(known.TTL()/3 + time.Second)
		renew(3)
		var ok bool
		if known, ok = c.Known("sid"); !ok || known.Node != "n2" || known.Due(time.Now()) {
			t.Errorf("knows %+v", known)
		}
		s.set(func() { clear(s.m) })
		renew(4)
	})
}
