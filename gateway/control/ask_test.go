package control_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// A replica asks all others about a session, each of which answers once, and does not wait for one that says nothing.
func TestAsk(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	a, _ := peered(t, open(t, server), "a")
	if answers, asked := a.Ask(t.Context(), "alone"); len(answers) > 0 || asked > 0 {
		t.Errorf("alone: %v of %d", answers, asked)
	}
	b, _ := peered(t, open(t, server), "b")
	_, endC := peered(t, open(t, server), "c")
	affinitytest.Eventually(t, "all know of the others", func() bool { return len(a.Peers()) == 2 && len(b.Peers()) == 2 })
	answers, asked := a.Ask(t.Context(), "sid")
	if slices.Sort(answers); strings.Join(answers, ", ") != "b of sid, c of sid" || asked != 2 {
		t.Errorf("%v of %d", answers, asked)
	}
	if n := server.Do("HLEN", "sidway:!traces"); n != "0" {
		t.Errorf("%s questions are left", n)
	}
	endC()
	server.Kill()
	began := time.Now()
	if answers, _ := a.Ask(t.Context(), "sid"); len(answers) > 0 || time.Since(began) > 10*time.Second {
		t.Errorf("without Redis %v after %v", answers, time.Since(began))
	}
}
