package replica_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
)

// A node that goes and comes back again and again is told of as that, not only as ejected at this moment.
func TestANodeThatGoesAgainAndAgainIsTold(t *testing.T) {
	t.Parallel()
	node := engineiotest.Start(t, engineiotest.Options{})
	var log lockedBuffer
	r := startLogged(t, settings(node), slog.New(slog.NewTextHandler(&log, nil)))
	awaitReady(t, r)
	node0 := func() (ejected bool) { return statusOf(t, r).Clusters[0].Nodes[0].Ejected }
	for i := range 4 {
		if faults := statusOf(t, r).Faults; len(faults) > 0 != (i == 3) {
			t.Errorf("after %d times: %+v", i, faults)
		}
		node.Down()
		go func() {
			if res, err := http.Get(r.url("/socket.io/?EIO=4&transport=polling")); err == nil { // it waits for the node
				res.Body.Close()
			}
		}()
		affinitytest.Eventually(t, "it is ejected", node0)
		node.Up()
		affinitytest.Eventually(t, "it works again", func() bool { return !node0() })
	}
	const words = "a node goes and comes back again and again: it refused connections"
	if f := statusOf(t, r).Faults; len(f) != 1 || f[0].Reason != "restarted_node" || f[0].Subject != "n1" || f[0].Count != 2 || strings.Count(log.String(), words) != 1 {
		t.Errorf("%+v, and the log:\n%s", f, log.String())
	}
}
