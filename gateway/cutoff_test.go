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
			c.send(masked("40"))
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
				silent(c, r)
				c.cut()
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
		time.Sleep(1200 * time.Millisecond)
		c.cut()
	})
	s, log := warned(t, withNodes(n))
	var readers sync.WaitGroup
	defer readers.Wait()
	const words = "a node ends WebSockets after about 1."
	for end := time.Now().Add(patience); !strings.Contains(log.String(), words) && time.Now().Before(end); {
		c := dial(t, s.addr)
		c.websocket(directTarget)
		c.message()
		c.send(masked("40"))
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

// TestClientsThatEndTheirWebSockets has clients end them in order after a little more than a second, and the node hang up first, as servers do.
func TestClientsThatEndTheirWebSockets(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		engine(aSID)(c, r)
		time.Sleep(1300 * time.Millisecond)
		c.send("\x88\x00")
		c.cut()
	})
	s, log := warned(t, withNodes(n))
	var clients sync.WaitGroup
	for range 8 {
		time.Sleep(600 * time.Millisecond)
		clients.Go(func() {
			c := dial(t, s.addr)
			c.websocket(directTarget)
			c.message()
			c.send(masked("40"))
			time.Sleep(1200 * time.Millisecond)
			c.send("\x88\x80\x00\x00\x00\x00")
			_, _ = c.Read(make([]byte, 10))
			c.Close()
		})
	}
	clients.Wait()
	eventually(t, "they have ended", func() bool { return s.metric("sidway_tunnels") == 0 })
	if f := s.faults(); len(f) != 0 || log.String() != "" {
		t.Errorf("remembered: %+v, and the log says %s", f, log.String())
	}
}

// TestWebSocketsThatCarryNothing has clients whose frames do not come through, though the 101 does.
func TestWebSocketsThatCarryNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says  string
		count float64
	}{"nothing comes": {"", 2}, "they speak": {masked("40"), 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
				engine(aSID)(c, r)
				silent(c, r)
				c.cut()
			})
			s, log := warned(t, withNodes(n))
			var clients sync.WaitGroup
			for range 6 {
				time.Sleep(600 * time.Millisecond) // as a timeout would have them end
				clients.Go(func() {
					client := dial(t, s.addr)
					client.websocket(directTarget)
					client.message()
					client.send(c.says)
					time.Sleep(2200 * time.Millisecond)
					client.Close()
				})
			}
			clients.Wait()
			eventually(t, "they have ended", func() bool { return s.metric("sidway_tunnels") == 0 })
			if got := s.metric("sidway_setup_faults_total", "c1", "mute_websockets"); got != c.count {
				t.Errorf("counted %v, want %v", got, c.count)
			}
			const words = "WebSockets open and nothing comes from their clients: something in front of sidway lets the 101 through and swallows the frames"
			if told, timeout := strings.Contains(log.String(), words), strings.Contains(log.String(), "after about"); told != (c.count > 0) || told && timeout {
				t.Errorf("told of\n%s", log.String())
			}
			if f := s.Figures()["c1"]; f.Mute != uint64(3*c.count) {
				t.Errorf("%+v", f)
			}
		})
	}
}
