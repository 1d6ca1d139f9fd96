package gateway_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway"
)

// warned serves these nodes and returns what the log says.
func warned(t *testing.T, options ...siteOption) (*site, *syncBuffer) {
	t.Helper()
	var b syncBuffer
	return startGateway(t, append(options, withLog(slog.New(slog.NewTextHandler(&b, nil))))...), &b
}

// once checks that the log says this once and that it is counted so often.
func (s *site) once(b *syncBuffer, words, reason string, count float64) {
	s.t.Helper()
	if n := strings.Count(b.String(), words); n != 1 {
		s.t.Errorf("%d times %q in\n%s", n, words, b.String())
	}
	if n := s.metric("sidway_setup_faults_total", "c1", reason); n != count {
		s.t.Errorf("%s is counted %v times, not %v", reason, n, count)
	}
}

func TestSocketIOOnAForeignPathIsTold(t *testing.T) {
	t.Parallel()
	s, log := warned(t, withNodes(startNode(t, "n1", nil)))
	c := dial(t, s.addr)
	for _, target := range []string{"/chat/?EIO=4&transport=polling", "/chat/?EIO=4&transport=polling&sid=a", "/socket.io?EIO=4&transport=polling"} {
		c.send(get(target))
		c.answer()
	}
	for _, target := range []string{"/page?transport=train", "/socket.io/socket.io.js?EIO=4&transport=polling", handshakeTarget} {
		c.send(get(target))
		c.answer()
	}
	s.once(log, `is no cluster's, so each goes to any node: write it as the path of a cluster" cluster=c1 path=/chat/ expected=/socket.io/`, "path", 3)
}

func TestAForeignPathIsToldWithThoseOfAllClusters(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", nil)
	s, log := warned(t, withCluster("chat.example.com", "/chat/", n), withCluster("", "/feed/", n), withCluster("other.example.com", "/other/", n))
	raw(t, s.addr, get(handshakeTarget)).answer()
	s.once(log, `cluster=c1 path=/socket.io/ expected="/chat/, /feed/" client=`, "path", 1)
}

// Scanners ask for hosts that nobody serves; a proxy that does not pass Host on has all clients do so.
func TestForeignHostsAreToldWhereManyCome(t *testing.T) {
	t.Parallel()
	s, log := warned(t, withCluster("other.example.com", "/socket.io/", startNode(t, "n1", nil)))
	told := func() float64 { return s.metric("sidway_setup_faults_total", "host") }
	for range 20 {
		raw(t, s.addr, get("/wp-login.php")).answer()
	}
	for range 9 {
		if status, _ := raw(t, s.addr, get(handshakeTarget)).ask(""); status != 404 {
			t.Errorf("%d", status)
		}
	}
	if n := told(); n != 0 || strings.Contains(log.String(), "no cluster serves") {
		t.Errorf("told %v times: %s", n, log.String())
	}
	for range 11 {
		raw(t, s.addr, get(handshakeTarget)).answer()
	}
	if n := told(); n != 2 || strings.Count(log.String(), `no cluster serves: does a proxy in front pass Host on?" host=chat.example.com`) != 1 {
		t.Errorf("told %v times: %s", n, log.String())
	}
	if f := s.faults(); len(f) != 1 || f[0].Subject != "" || !strings.Contains(f[0].Text, `the last one for "chat.example.com": does`) {
		t.Errorf("remembered: %+v", f)
	}
}

func TestHealthChecksOnThePublicAddressAreTold(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"", "other.example.com"} { // with nodes that answer them, and where nobody does
		s, log := warned(t, withCluster(host, "/socket.io/", startNode(t, "n1", nil)))
		raw(t, s.addr, get("/health")).answer()
		for _, path := range []string{"/readyz", "/healthz", "/livez"} {
			raw(t, s.addr, get(path)).answer()
		}
		if n := strings.Count(log.String(), `ask its admin address" path=/readyz host=chat.example.com client=127.0.0.1`); n != 1 || strings.Count(log.String(), "health checks") != 1 {
			t.Errorf("told %d times in %s", n, log.String())
		}
	}
}

func TestBindingToAMissingNodeIsTold(t *testing.T) {
	t.Parallel()
	s, log := warned(t, withNodes(startNode(t, "n1", nil)), withLimits(func(l *gateway.Limits) { l.QueueTime = 50 * time.Millisecond }))
	for i, node := range []string{"n7", "n7", "n8"} {
		sid := fmt.Sprint("sid", i)
		s.bind(sid, &scriptedNode{name: node})
		if status, body := dial(t, s.addr).ask(get(pollTarget(sid))); status != 200 || body != "1" {
			t.Errorf("%d %q", status, body)
		}
	}
	s.once(log, "do all replicas have the same nodes?\" cluster=c1 node=n7", "node_list", 3)
	s.once(log, "do all replicas have the same nodes?\" cluster=c1 node=n8", "node_list", 3)
}

// unknownSID is how a node says that it does not know a session.
const unknownSID = `{"code":1,"message":"Session ID unknown"}`

// forgetful makes sessions and knows none of them.
func forgetful() answerer {
	var made atomic.Int64
	return func(c *nodeConn, r *nodeRequest) {
		if strings.Contains(r.Head, "sid=") {
			c.send(answer(400, unknownSID))
			return
		}
		engine(fmt.Sprint("sid", made.Add(1)))(c, r)
	}
}

// A node that ends its clients' sessions does not know them afterwards, which is no forgetting.
func TestANodeThatEndsSessionsIsNotTold(t *testing.T) {
	t.Parallel()
	ends := forgetful()
	s, log := warned(t, withNodes(startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if r.Method == "GET" && strings.Contains(r.Head, "sid=") {
			c.send(answer(200, "1"))
			return
		}
		ends(c, r)
	})))
	c := dial(t, s.addr)
	for range 5 {
		sid := c.handshake(handshakeTarget)
		c.expect(get(pollTarget(sid)), 200, "1")
		c.expect(request("POST", pollTarget(sid), "4x", lengthOf("4x")), 400, unknownSID)
	}
	if strings.Contains(log.String(), "knows none") {
		t.Error(log.String())
	}
}

// Sids that are unknown because a node or the list of nodes is at fault are no sign that replicas have no common store.
func TestTheStoreIsNotBlamedForANode(t *testing.T) {
	t.Parallel()
	const words = "many requests name sessions that nobody knows"
	for name, k := range map[string]struct {
		before func(s *site, c *rawClient)
		told   bool
	}{
		"a sid that never was": {func(*site, *rawClient) {}, true},
		"a node forgot it":     {func(_ *site, c *rawClient) { c.expect(get(pollTarget(aSID)), 400, unknownSID) }, false},
		"a node forgets many": {func(_ *site, c *rawClient) {
			for range 6 {
				c.expect(get(pollTarget(c.handshake(handshakeTarget))), 400, unknownSID)
			}
		}, false},
		"a replica has other nodes": {func(s *site, c *rawClient) {
			s.bind("other", &scriptedNode{name: "n7"})
			c.expect(get(pollTarget("other")), 200, "1")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, "n1", forgetful())
			s, log := warned(t, withNodes(n), withLimits(func(l *gateway.Limits) { l.QueueTime = 50 * time.Millisecond }))
			c := dial(t, s.addr)
			if name == "a node forgot it" {
				s.bind(aSID, n)
			}
			k.before(s, c)
			gateway.ExpectStrangers(s.Gateway)
			c.expect(get(pollTarget(aSID)), 400, unknownSID)
			if told := strings.Contains(log.String(), words); told != k.told || s.metric("sidway_setup_faults_total", "store") > 0 != k.told {
				t.Errorf("told %v in %s", told, log.String())
			}
		})
	}
}

func TestANodeThatIsRestartedIsNotTold(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", forgetful())
	s, log := warned(t, withNodes(n))
	c := dial(t, s.addr)
	var sids []string
	for range 10 {
		sids = append(sids, c.handshake(handshakeTarget))
	}
	for _, sid := range sids { // it has been restarted
		c.expect(get(pollTarget(sid)), 400, unknownSID)
	}
	if n := s.metric("sidway_setup_faults_total"); n != 0 || log.String() != "" {
		t.Errorf("%v are counted, and the log says %s", n, log.String())
	}
}

// TestSidsThatNobodyKnows has them come for a while, and in number.
func TestSidsThatNobodyKnows(t *testing.T) {
	for name, c := range map[string]struct {
		made, unknown int // in each window
		windows       int
		told          bool
	}{
		"replicas without a common store": {10, 8, 5, true},
		"after an outage":                 {100, 1000, 2, false},
		"now and then a stale one":        {1000, 10, 20, false},
		"hardly any":                      {0, 2, 20, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			u := gateway.NewUnknowns()
			told := false
			for range c.windows {
				u.Made(c.made)
				for range c.unknown {
					many, _ := u.Came("192.0.2.1")
					told = told || many
				}
				time.Sleep(6 * time.Second)
			}
			if told != c.told {
				t.Errorf("%s: told %v", name, told)
			}
		})
	}
}

// Clients that ask for their ended sessions for ever are no sign of anything, however many they are.
func TestStaleClientsAreNoSign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := gateway.NewUnknowns()
		for range 30 {
			for i := range 25 {
				if many, _ := u.Named("ended"+strconv.Itoa(i), "192.0.2.1"); many {
					t.Fatal("told")
				}
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// TestWhoseSidsNobodyKnows has clients take turns, with pauses as long as they like.
func TestWhoseSidsNobodyKnows(t *testing.T) {
	const a, b, c = "2001:db8:0:1::1", "2001:db8:0:2::1", "192.0.2.1"
	for name, k := range map[string]struct {
		clients []string
		pause   time.Duration
		one     bool
	}{
		"one":                    {[]string{a}, time.Millisecond, true},
		"one, seldom":            {[]string{a}, 1100 * time.Millisecond, true},
		"one of several":         {[]string{b, a, a, a, a, a, c, a, a, a, a, a}, 700 * time.Millisecond, true},
		"one at many addresses":  {[]string{a, "2001:db8:0:1::2", "2001:db8:0:1:ffff::"}, 10 * time.Millisecond, true},
		"two":                    {[]string{a, b}, 10 * time.Millisecond, false},
		"two, each a long while": {append(slices.Repeat([]string{a}, 40), slices.Repeat([]string{b}, 40)...), 10 * time.Millisecond, false},
		"several, seldom":        {[]string{a, b, c}, 1100 * time.Millisecond, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			u := gateway.NewUnknowns()
			for n, told := 0, 0; told < 1000; n++ {
				if many, one := u.Came(k.clients[n%len(k.clients)]); many {
					if told++; one != k.one {
						t.Fatalf("%s: after %d it is said that they are one client's: %v", name, n, one)
					}
				}
				time.Sleep(k.pause)
			}
		})
	}
}
