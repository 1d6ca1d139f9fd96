package gateway_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway"
)

// TestCutoffsAreFound has clients leave for an hour, each at a time of its own.
func TestCutoffsAreFound(t *testing.T) {
	const interval = 25 * time.Second
	r := rand.New(rand.NewPCG(1, 2))
	anywhere := func() time.Duration { return time.Duration(r.Int64N(int64(interval))) }
	about := func(d time.Duration) time.Duration { return d + time.Duration(r.Int64N(int64(d/20))) }
	for name, c := range map[string]struct {
		pause time.Duration // between two that leave
		age   func() time.Duration
		told  bool
		nodes int
	}{
		"a proxy's timeout": {5 * time.Second, func() time.Duration { return about(10 * time.Second) }, true, 3},
		"among users who leave": {time.Second, func() time.Duration {
			if r.IntN(10) == 0 {
				return anywhere()
			}
			return about(10 * time.Second)
		}, true, 1},
		"users who leave":                  {time.Second, anywhere, false, 1},
		"few users who leave":              {9 * time.Second, anywhere, false, 1},
		"users of a chat with short polls": {time.Second, func() time.Duration { return anywhere() / 22 }, false, 1},
		"at pingInterval":                  {time.Second, func() time.Duration { return about(interval) }, false, 1},
		"all at once":                      {time.Millisecond / 100, func() time.Duration { return 10 * time.Second }, false, 1},
		"now and then":                     {15 * time.Second, func() time.Duration { return 10 * time.Second }, false, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			var f gateway.Cutoff
			var told time.Duration
			end := time.Now().Add(time.Hour)
			for n := 0; n < 10_000 && time.Now().Before(end); n++ {
				after, node := f.Ended(c.age(), interval, "n"+strconv.Itoa(n%c.nodes))
				if told = max(told, after); after > 0 && (node == "") != (c.nodes > 1) {
					t.Fatalf("%s: %q of %d nodes is told", name, node, c.nodes)
				}
				time.Sleep(c.pause)
			}
			if told > 0 != c.told || c.told && told.Round(time.Second) != 10*time.Second {
				t.Errorf("%s: told of %v", name, told)
			}
		})
	}
}

// TestProxiesThatCutWhatWaits has clients whose proxy gives up after a little more than a second.
func TestProxiesThatCutWhatWaits(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(c *rawClient){
		"polls": func(c *rawClient) { c.send(get(pollTarget(aSID))) },
		"WebSockets": func(c *rawClient) {
			c.websocket(directTarget)
			c.message()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
				if name == "polls" {
					silent(c, r)
					return
				}
				engine(aSID)(c, r)
				c.node.work.Go(func() { silent(c, r); c.cut() })
			})
			s, log := warned(t, withNodes(n))
			s.bind(aSID, n)
			words := name + " are ended from the client's side after about 1."
			for end := time.Now().Add(patience); !strings.Contains(log.String(), words) && time.Now().Before(end); {
				c := dial(t, s.addr)
				open(c)
				time.AfterFunc(1200*time.Millisecond, func() { c.Close() })
				time.Sleep(600 * time.Millisecond) // before the next
			}
			if n := strings.Count(log.String(), words); n != 1 ||
				!strings.Contains(log.String(), `s: is that a proxy's timeout? It must exceed pingInterval + pingTimeout (45 s)" cluster=c1`) {
				t.Errorf("told %d times in\n%s", n, log.String())
			}
			if name == "polls" {
				if n := s.metric("sidway_requests_aborted_total", "c1", "poll"); n < 6 {
					t.Errorf("%v requests without an answer are counted", n)
				}
			} else if s.metric("sidway_tunnel_seconds", "c1", "client_closed") < 6 || s.sum("sidway_tunnel_seconds") < 6 {
				t.Error("the WebSockets' ages are not counted")
			}
		})
	}
}

// TestNodesThatCutWebSockets has a node end its WebSockets after a little more than a second.
func TestNodesThatCutWebSockets(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		engine(aSID)(c, r)
		c.node.work.Go(func() { time.Sleep(1200 * time.Millisecond); c.cut() })
	})
	s, log := warned(t, withNodes(n))
	var readers sync.WaitGroup
	defer readers.Wait()
	const words = "a node ends WebSockets after about 1."
	for end := time.Now().Add(patience); !strings.Contains(log.String(), words) && time.Now().Before(end); {
		c := dial(t, s.addr)
		c.websocket(directTarget)
		c.message()
		readers.Go(func() { _, _ = c.Read(make([]byte, 1)); c.Close() })
		time.Sleep(600 * time.Millisecond) // before the next
	}
	if n := strings.Count(log.String(), words); n != 1 || !strings.Contains(log.String(), " cluster=c1 node=n1") {
		t.Errorf("told %d times in\n%s", n, log.String())
	}
	if n := s.metric("sidway_setup_faults_total", "c1", "node_timeout"); n == 0 {
		t.Error("no fault is counted")
	}
}
