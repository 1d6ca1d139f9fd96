package replica

import (
	"slices"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/api"
)

// A storm is known from the second in which so many sessions begin until a minute after the last in which a tenth as many did, with the
// WebSockets that ended shortly before.
func TestStorms(t *testing.T) {
	var s storms
	var total gateway.Turnover
	start := time.Now()
	second := 0
	tick := func(made, byClients, byNodes uint64) []string {
		total.Made += made
		total.ByClients += byClients
		total.ByNodes += byNodes
		total.Ended += byClients + byNodes
		second++
		all := map[string]gateway.Turnover{"chat": total, "calm": {}}
		return s.tick(second, all, start.Add(time.Duration(second)*time.Second), func(string) int { return 900 })
	}
	total.Made = 10_000
	for _, made := range []uint64{500, 49, 89} { // the first before anything is known, the others too few, and too few of so many
		if got := tick(made, 9, 0); got != nil || s.of("chat") != nil {
			t.Fatalf("a storm of %d", made)
		}
	}
	for range 20 {
		tick(1, 0, 0)
	}
	tick(0, 300, 2)
	tick(0, 0, 0)
	if got := tick(150, 0, 0); !slices.Equal(got, []string{"chat"}) {
		t.Fatalf("%v", got)
	}
	began := start.Add(time.Duration(second) * time.Second)
	if v, want := *s.of("chat"), (api.Storm{Since: began, Last: began, Begun: 157, Peak: 150, Ended: 302, ByClients: 300, ByNodes: 2}); v != want {
		t.Errorf("%+v, want\n%+v", v, want)
	}
	tick(200, 1, 0)
	last := start.Add(time.Duration(second) * time.Second)
	for range 60 {
		if got := tick(19, 0, 0); got != nil {
			t.Fatal("the same storm is told again")
		}
	}
	if v := s.of("chat"); v == nil || v.Since != began || v.Last != last || v.Begun != 157+200+9*19 || v.Peak != 200 || v.Ended != 303 {
		t.Errorf("a minute later: %+v", v)
	}
	if tick(19, 0, 0); s.of("chat") != nil || s.of("calm") != nil || s.of("none") != nil {
		t.Errorf("after that: %+v", s.of("chat"))
	}
	total.Made = 0 // a cluster that began anew
	if got := tick(60, 0, 0); got != nil {
		t.Errorf("60 of 900 began: %v", got)
	}
}
