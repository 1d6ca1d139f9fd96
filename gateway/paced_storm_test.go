package gateway_test

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// storm is very many clients that come at once, to nodes that note when each handshake reaches them.
type storm struct {
	*site
	pace   cluster.Pace
	start  time.Time
	mu     sync.Mutex
	came   [][]time.Duration // since start, by node
	made   atomic.Int64
	failed atomic.Int64
}

// startStorm starts so many nodes and a gateway before them that has room for so many clients.
func startStorm(t testing.TB, nodes, clients int, pace cluster.Pace) *storm {
	s := &storm{pace: pace, came: make([][]time.Duration, nodes)}
	var configs []cluster.Config
	for i := range nodes {
		addr := listen(t, func(conn net.Conn) { s.serve(i, conn) })
		configs = append(configs, cluster.Config{Name: fmt.Sprint("n", i+1), Address: addr, Weight: 1})
	}
	s.site = startGateway(t, withStore(affinity.NewMemory(2*clients)), withLimits(func(l *gateway.Limits) {
		l.Connections, l.Queue = 2*clients, clients
	}), func(o *siteOptions) {
		o.routes = append(o.routes, gateway.Route{Path: "/socket.io/", Cluster: cluster.New("c1", cluster.Settings{Nodes: configs, Pace: pace})})
	})
	return s
}

// serve answers one connection's handshakes with sessions.
func (s *storm) serve(node int, conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 8<<10)
	for {
		if _, err := conn.Read(buf); err != nil {
			return
		}
		s.mu.Lock()
		s.came[node] = append(s.came[node], time.Since(s.start))
		s.mu.Unlock()
		conn.Write([]byte(answer(200, openPacket(fmt.Sprintf("%020d", s.made.Add(1))), "Content-Type: text/plain; charset=UTF-8")))
	}
}

// run has all clients connect, and then ask for a session at the same moment. It returns how long it took until all had one.
func (s *storm) run(t testing.TB, clients int) time.Duration {
	t.Helper()
	conns := make([]net.Conn, clients)
	for i := range conns {
		conn, err := connect(s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
	}
	s.start = time.Now()
	var work sync.WaitGroup
	for _, conn := range conns {
		work.Go(func() {
			got := make([]byte, 1<<10)
			conn.SetDeadline(time.Now().Add(time.Minute))
			conn.Write([]byte(benchHandshake))
			if n, err := conn.Read(got); err != nil || !bytes.HasPrefix(got[:n], []byte("HTTP/1.1 200")) {
				if s.failed.Add(1) == 1 {
					t.Errorf("%v %q", err, got[:n])
				}
			}
		})
	}
	work.Wait()
	return time.Since(s.start)
}

// check looks at what came to the nodes: never more than the pace allows, and about the same to each.
func (s *storm) check(t testing.TB, clients int, took, grace time.Duration) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	nodes := len(s.came)
	perNode := float64(clients) / float64(nodes)
	needed := max(0, perNode-float64(s.pace.Burst)) / s.pace.Handshakes
	if float64(took)/1e9 < needed || took > time.Duration(needed*1e9)+grace {
		t.Errorf("%d sessions were made in %v, want %.2f s", clients, took, needed)
	}
	for i, came := range s.came {
		if n := float64(len(came)); n < 0.9*perNode || n > 1.1*perNode {
			t.Errorf("n%d has %d sessions of %d", i+1, len(came), clients)
		}
		slices.Sort(came)
		for k, at := range came { // what comes late never makes more of it
			if most := float64(s.pace.Burst) + s.pace.Handshakes*at.Seconds(); float64(k) > most {
				t.Errorf("n%d has %d handshakes after %v, want %.0f at most", i+1, k+1, at, most)
				break
			}
		}
		if most, n := s.pace.Handshakes+float64(s.pace.Burst), busiest(came); float64(n) > most+s.pace.Handshakes {
			t.Errorf("n%d has %d handshakes within a second, want %.0f at most", i+1, n, most)
		}
	}
	if n := s.failed.Load(); n > 0 {
		t.Errorf("%d clients got no session", n)
	}
}

// total returns the sum of all that a histogram has observed.
func (s *storm) total(name string) (sum float64) {
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetHistogram().GetSampleSum()
			}
		}
	}
	return sum
}

// busiest returns the most that came within a second.
func busiest(came []time.Duration) (most int) {
	first := 0
	for i, at := range came {
		for came[first] < at-time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// All clients of a node that is lost come back at once. No other node gets more than its pace, and nobody is turned away.
func TestStormIsPaced(t *testing.T) {
	const clients = 2000
	s := startStorm(t, 4, clients, cluster.Pace{Handshakes: 200, Burst: 100})
	took := s.run(t, clients)
	s.check(t, clients, took, patience/2)
	if n := s.metric("sidway_local_responses_total"); n > 0 {
		t.Errorf("%v were answered here", n)
	}
	if n := s.metric("sidway_pace_wait_seconds", "c1"); n < clients-400-800*took.Seconds() || n > clients-400 {
		t.Errorf("%v have waited", n)
	}
	// With TLS the handshakes of all these clients keep both processors from anything else for a while.
	if waits, added := s.total("sidway_pace_wait_seconds"), s.total("sidway_overhead_seconds"); added > waits && !encrypted {
		t.Errorf("overhead of %.1f s in all, of which waits for a turn are no part: %.1f s", added, waits)
	}
	if n := s.metric("sidway_pace_waiting", "c1"); n != 0 {
		t.Errorf("%v wait still", n)
	}
}

// BenchmarkStorm is what TestStormIsPaced tests, with about as many clients as 20,000 descriptors allow.
func BenchmarkStorm(b *testing.B) {
	for _, row := range []struct {
		name    string
		clients int
		pace    cluster.Pace
	}{{"paced", 5000, cluster.Pace{Handshakes: 200, Burst: 400}}, {"not", 4500, cluster.Pace{}}} {
		b.Run(row.name, func(b *testing.B) {
			for b.Loop() {
				s := startStorm(b, 4, row.clients, row.pace)
				cpu := processTime()
				took := s.run(b, row.clients)
				b.ReportMetric(float64(processTime()-cpu)/1e3/float64(row.clients), "cpu-µs/handshake")
				b.ReportMetric(took.Seconds(), "s/storm")
				if row.pace.Handshakes > 0 {
					s.check(b, row.clients, took, 2*time.Second)
				}
				most := 0
				for _, came := range s.came {
					slices.Sort(came)
					most = max(most, busiest(came))
				}
				b.ReportMetric(float64(most), "busiest/s")
				s.Close() // the next needs its descriptors
			}
		})
	}
}
