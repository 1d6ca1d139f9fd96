package replica_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/sidway/sidway/engineio/engineiotest"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// A poll that is given up at one replica ends its session, which is no fault of the node's for another replica that asks for it later.
func TestAPollGivenUpAtAnotherReplicaBlamesNoNode(t *testing.T) {
	t.Parallel()
	node := engineiotest.Start(t, engineiotest.Options{})
	_, a, b := twoReplicas(t, node)
	for range 7 {
		sid := polling(t, a)
		target := "/socket.io/?EIO=4&transport=polling&sid=" + sid
		ctx, giveUp := context.WithCancel(t.Context())
		q, _ := http.NewRequestWithContext(ctx, "GET", a.url(target), nil)
		left := make(chan struct{})
		go func() {
			defer close(left)
			if res, err := http.DefaultClient.Do(q); err == nil {
				res.Body.Close()
			}
		}()
		node.WaitUntil("it has the poll", func() bool { return node.Polling(sid) })
		giveUp()
		<-left
		node.WaitUntil("the session has ended", func() bool { return node.Ended(sid) != "" })
		affinitytest.Eventually(t, "the poll is over", func() bool { return strings.Contains(steps(traceOf(t, a, sid)), "poll 499") })
		res, err := http.Post(b.url(target), "text/plain", strings.NewReader("4late"))
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != 400 {
			t.Errorf("status %d", res.StatusCode)
		}
	}
	affinitytest.Eventually(t, "the polls are told of", func() bool {
		f := statusOf(t, b).Faults
		return len(f) > 0 && f[0].Reason == "proxy_timeout"
	})
	if f := statusOf(t, b).Faults; len(f) != 1 {
		t.Errorf("%+v", f)
	}
}
