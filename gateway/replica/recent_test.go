package replica

import (
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
)

// What is recent is of the last minute and up to ten seconds more, and of a cluster that began anew of its begin.
func TestRecent(t *testing.T) {
	var r recent
	figures := func(n uint64) *gateway.Figures {
		return &gateway.Figures{Handshakes: gateway.Made{Made: 2 * n}, Responses: map[string]uint64{"no_node": n}}
	}
	if got := r.of("chat", figures(3)); got.Responses["no_node"] != 3 || got.Made != 6 {
		t.Errorf("at first: %+v", got)
	}
	start := time.Now()
	for i := range uint64(20) { // one each ten seconds
		r.note(start.Add(time.Duration(i)*10*time.Second), map[string]*gateway.Figures{"chat": figures(i)})
	}
	if got := r.of("chat", figures(20)); got.Responses["no_node"] != 7 || got.Made != 14 || len(r.all) != 7 {
		t.Errorf("later: %+v of %d looks", got, len(r.all))
	}
	if got := r.of("chat", figures(2)); got.Responses["no_node"] != 2 {
		t.Errorf("anew: %+v", got)
	}
	if got := r.of("chat", figures(13)); len(got.Responses) != 0 {
		t.Errorf("nothing since: %+v", got)
	}
	if got := r.of("another", figures(1)); got.Responses["no_node"] != 1 {
		t.Errorf("another: %+v", got)
	}
}
