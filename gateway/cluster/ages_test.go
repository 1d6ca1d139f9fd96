package cluster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
)

// Sessions are counted by transport, and those that are old by whether they poll still.
func TestSessionsByTransportAndAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster.New("c", cluster.Settings{Nodes: nodes(1)})
		n := c.Node("n1")
		pick := func() {
			t.Helper()
			if _, err := c.Pick(cluster.Want{}); err != nil {
				t.Fatal(err)
			}
		}
		open := func(sid string) {
			t.Helper()
			pick()
			c.Sessions.Open(sid, n, time.Now().Add(time.Hour))
		}
		type counts struct{ sessions, polling, sockets, old, lasting int }
		want := func(when string, want counts) {
			t.Helper()
			s := c.Statuses()[0]
			got := counts{sessions: s.Sessions, polling: s.Polling, sockets: s.Sockets}
			if got.old, got.lasting = c.Sessions.Old(); got != want {
				t.Errorf("%s: %+v, want %+v", when, got, want)
			}
		}
		pick() // a handshake that is under way
		open("polls")
		open("upgrades")
		open("probes")
		pick()
		direct := c.Sessions.Connected(n)
		c.Sessions.Upgraded("upgrades", n, time.Now().Add(time.Minute), 20*time.Second)
		c.Sessions.Upgraded("elsewhere", n, time.Now().Add(time.Minute), 20*time.Second)
		c.Sessions.Polled("polls")
		want("at first", counts{sessions: 6, polling: 2, sockets: 3})

		time.Sleep(20 * time.Second)
		open("later")
		want("after 20 s", counts{sessions: 7, polling: 3, sockets: 3})
		time.Sleep(11 * time.Second)
		want("after 31 s", counts{sessions: 7, polling: 3, sockets: 3, old: 5})
		for _, sid := range []string{"polls", "polls", "probes", "upgrades", "later", "unknown"} {
			c.Sessions.Polled(sid)
		}
		want("when they have polled", counts{sessions: 7, polling: 3, sockets: 3, old: 5, lasting: 2})
		c.Sessions.Upgraded("probes", n, time.Now().Add(time.Minute), 20*time.Second)
		want("upgraded late", counts{sessions: 7, polling: 2, sockets: 4, old: 5, lasting: 1})
		c.Sessions.ProbeFailed("probes", time.Now().Add(time.Hour))
		c.Sessions.Polled("probes")
		want("and back", counts{sessions: 7, polling: 3, sockets: 3, old: 5, lasting: 2})

		c.Sessions.End("later") // which is young
		c.Sessions.Disconnected(n, direct)
		c.Sessions.End("polls")
		c.Sessions.End("polls")
		want("some have ended", counts{sessions: 4, polling: 1, sockets: 2, old: 3, lasting: 1})
		c.Sessions.ProbeFailed("elsewhere", time.Now())
		c.Sessions.End("upgrades")
		c.Sessions.End("probes")
		c.Leave(n)
		want("all have ended", counts{})
		if ended, expired := c.Sessions.Ended(); ended != 5 || expired != 0 {
			t.Errorf("%d ended, %d expired", ended, expired)
		}
		time.Sleep(time.Hour) // the seconds come round
		open("again")
		want("much later", counts{sessions: 1, polling: 1})
	})
}
