package replica_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
)

// counted returns how many polling sessions r counts.
func counted(r *running) int { return r.Clusters()[0].Statuses()[0].Polling }

// While Redis evicts, a session goes on being counted whose binding is known here, and no longer than that.
func TestSessionsAreCountedWhileRedisEvicts(t *testing.T) {
	t.Parallel()
	rdb, a, _ := twoReplicas(t, engineiotest.Start(t, engineiotest.Options{PingInterval: time.Second, PingTimeout: 10 * time.Second}))
	first, second := polling(t, a), polling(t, a)
	use := func(sid string) {
		resp, err := http.Post(a.url("/socket.io/?EIO=4&transport=polling&sid="+sid), "text/plain", strings.NewReader("3"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatalf("a POST of the session: %d", resp.StatusCode)
		}
	}
	affinitytest.Eventually(t, "Redis is seen to lose bindings", func() bool {
		rdb.Do("DEL", "sidway:chat:"+first)
		use(first)
		return a.LosesBindings()
	})
	for _, sid := range []string{first, second} {
		rdb.Do("DEL", "sidway:chat:"+sid)
	}
	c := a.Clusters()[0]
	c.Sessions.Recheck(c.Nodes()[0])
	time.Sleep(2 * time.Second) // for as long as it takes to look at all of them
	if n := counted(a); n != 2 {
		t.Fatalf("%d sessions are counted, want 2", n)
	}
	affinitytest.Eventually(t, "what nobody uses is counted no more", func() bool { use(first); return counted(a) == 1 })
}
