package replica

import (
	"testing"
	"time"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/api"
)

// What is recent is of the last minute and up to ten seconds more, and of a cluster that began anew of its begin.
func TestRecent(t *testing.T) {
	var r recent
	figures := func(n uint64) *gateway.Figures {
		return &gateway.Figures{Handshakes: gateway.Made{Made: 2 * n}, Responses: map[string]uint64{"no_node": n}, Ends: map[string]uint64{"drained": 3 * n}, Nodes: map[string]gateway.NodeFigures{"n1": {Handshakes: 4 * n}}}
	}
	start := time.Now()
	of := func(name string, n uint64) api.Recent {
		return r.of(name, start.Add(time.Duration(n)*10*time.Second), figures(n), 5*n)
	}
	if got := of("chat", 3); got.Responses["no_node"] != 3 || got.Made != 6 {
		t.Errorf("at first: %+v", got)
	}
	for i := range uint64(20) { // one each ten seconds
		r.note(start.Add(time.Duration(i)*10*time.Second), map[string]*gateway.Figures{"chat": figures(i)}, map[string]uint64{"chat": 5 * i})
	}
	if got := of("chat", 20); got.Responses["no_node"] != 7 || got.Made != 14 || got.Seconds != 70 || got.Ended != 35 || got.Ends["drained"] != 21 || got.Nodes["n1"].Handshakes != 28 || len(r.all) != 7 {
		t.Errorf("later: %+v of %d looks", got, len(r.all))
	}
	if got := of("chat", 2); got.Responses["no_node"] != 2 {
		t.Errorf("anew: %+v", got)
	}
	if got := of("chat", 13); len(got.Responses) != 0 {
		t.Errorf("nothing since: %+v", got)
	}
	if got := of("another", 1); got.Responses["no_node"] != 1 {
		t.Errorf("another: %+v", got)
	}
}
