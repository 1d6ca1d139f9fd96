package e2e_test

import (
	"io"
	"net"
	"regexp"
	"sync"
	"testing"
)

// front hands each TCP connection to the next of its targets in turn, as the plainest balancer does. It knows nothing of
// sessions, but notes which sid's connections went where.
type front struct {
	ln net.Listener
	wg sync.WaitGroup

	mu      sync.Mutex
	targets []string
	turn    int
	open    map[net.Conn]bool
	seen    map[string]map[string]int // sid -> target -> connections that began with a request of it
}

func startFront(t *testing.T, targets ...string) *front {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{ln: ln, targets: targets, open: map[net.Conn]bool{}, seen: map[string]map[string]int{}}
	f.wg.Go(f.accept)
	t.Cleanup(f.stop)
	return f
}

func (f *front) url() string { return scheme + f.ln.Addr().String() }

// route sends new connections to these targets from now on; established ones stay where they are.
func (f *front) route(targets ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.targets = targets
}

// cut ends all connections.
func (f *front) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.open {
		_ = c.Close()
	}
}

func (f *front) stop() {
	_ = f.ln.Close()
	f.cut()
	f.wg.Wait()
}

func (f *front) accept() {
	for {
		client, err := f.ln.Accept()
		if err != nil {
			return
		}
		f.wg.Go(func() { f.carry(client.(*net.TCPConn)) })
	}
}

// next returns the targets in the order in which to try them, the one whose turn it is first.
func (f *front) next() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn++
	n := len(f.targets)
	order := make([]string, 0, n)
	for i := range n {
		order = append(order, f.targets[(f.turn+i)%n])
	}
	return order
}

func (f *front) carry(client *net.TCPConn) {
	for _, target := range f.next() {
		c, err := net.Dial("tcp", target)
		if err != nil {
			continue
		}
		server := c.(*net.TCPConn)
		f.hold(client, server)
		var both sync.WaitGroup
		both.Go(func() { f.copy(server, client, target) })
		both.Go(func() { f.copy(client, server, "") })
		both.Wait()
		f.free(client, server)
		return
	}
	_ = client.Close()
}

func (f *front) hold(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		f.open[c] = true
	}
}

func (f *front) free(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		delete(f.open, c)
		_ = c.Close()
	}
}

// copy passes bytes, ends and resets on. The first bytes for a target are read for their sid.
func (f *front) copy(to, from *net.TCPConn, target string) {
	buf := make([]byte, 32<<10)
	for first := target != ""; ; first = false {
		n, err := from.Read(buf)
		if first {
			f.note(buf[:n], target)
		}
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				reset(from)
				return
			}
		}
		if err == io.EOF {
			_ = to.CloseWrite()
			return
		}
		if err != nil {
			reset(to)
			return
		}
	}
}

func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// unseen stands for the sids of what is encrypted.
const unseen = ""

var sidInTarget = regexp.MustCompile(`^[A-Z]+ [^ ]*[?&]sid=([^& ]+)`)

func (f *front) note(head []byte, target string) {
	sid := unseen
	if m := sidInTarget.FindSubmatch(head); m != nil {
		sid = string(m[1])
	} else if !encrypted {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[sid] == nil {
		f.seen[sid] = map[string]int{}
	}
	f.seen[sid][target]++
}

// alternated reports whether the connections of every one of the sessions went to at least two targets. Through TLS it sees no
// sids, and answers for all connections together.
func (f *front) alternated(sessions []session) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if encrypted {
		return len(f.seen[unseen]) >= 2
	}
	for _, s := range sessions {
		if len(s.SIDs) == 0 || len(f.seen[s.SIDs[len(s.SIDs)-1]]) < 2 {
			return false
		}
	}
	return true
}

// servedBy counts the sids that had a connection to the target.
func (f *front) servedBy(target string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, targets := range f.seen {
		if targets[target] > 0 {
			n++
		}
	}
	return n
}
