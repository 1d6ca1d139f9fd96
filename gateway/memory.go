package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/request"
)

// This file is what is remembered of each node, to be counted and to find out what is wrong with it.

// classes is how many first digits a status may have; 0 is none of them, and a larger one counts as the largest.
const classes = 6

var classNames = [classes]string{"", "1xx", "2xx", "3xx", "4xx", "5xx"}

// memoryWindow is how long what a node does is looked at before all is forgiven.
const memoryWindow = time.Minute

// memory is what is counted and found out of one node's answers.
type memory struct {
	node       string
	responses  [request.Kinds][classes]atomic.Uint64 // by the first digit of their status
	made       atomic.Int64                          // sessions
	took       [request.Kinds]prometheus.Observer    // by the heads of answers to what is answered at once
	late       spate                                 // answers to POSTs
	delayed    spate                                 // answers to handshakes and direct connects
	prompt     atomic.Int64                          // when it has last answered one of those in time, in ns since 1970
	refused    [2]atomic.Int64                       // handshakes in a row that it refused by a rule, by whether they were of EIO 4
	strange    atomic.Uint64                         // answers to requests of its sessions that no Engine.IO server gives, but for those of 5xx
	unanswered atomic.Uint64                         // upgrades that it was sent since it last answered one
	ignored    atomic.Int64                          // direct connects in a row whose clients have left without an answer
	retry      atomic.Int64                          // when one tries it again, in ns since 1970
	unoffered  atomic.Uint64                         // sessions in a row that it made by polling and offered no WebSocket
	errors     spate                                 // in answers to requests of its sessions
	large      spate                                 // bodies longer than what it takes
	hanging    spate                                 // looks at a POST that was not answered in time, while the node said nothing at all
	lost       spate                                 // sessions that ended because it cut, refused or did not answer a request
	forgetting forgetting
}

// memory returns what is remembered of a node.
func (t *tally) memory(n *cluster.Node) *memory {
	if m, ok := t.memories.Load(n.Key()); ok {
		return m.(*memory)
	}
	m := &memory{node: n.Name}
	if !t.has(m, n.Key()) { // the request is older than the topology
		return m
	}
	for _, k := range [...]request.Kind{request.Handshake, request.DirectConnect, request.Upgrade, request.Post} {
		m.took[k] = t.metrics.nodeTime(n.Name, k)
	}
	kept, _ := t.memories.LoadOrStore(n.Key(), m)
	return kept.(*memory)
}

// memory returns what is remembered of the request's node.
func (x *exchange) memory() *memory {
	if x.Kind == request.Static {
		return &x.route.files
	}
	return x.route.memory(x.Node)
}

// fileNode is the name of the server of files in figures and logs.
const fileNode = "static"

// has reports whether the cluster still has the node that m is about.
func (t *tally) has(m *memory, key any) bool {
	n := t.cluster.Node(m.node)
	return n != nil && n.Key() == key
}

// forgetNodes forgets the nodes that the cluster has no more.
func (t *tally) forgetNodes(metrics *Metrics) {
	t.memories.Range(func(key, m any) bool {
		if m := m.(*memory); !t.has(m, key) {
			t.memories.Delete(key)
			if t.cluster.Node(m.node) == nil {
				metrics.dropNode(t.cluster.Name, m.node)
			}
		}
		return true
	})
}

// responded counts the head of the node's answer.
func (x *exchange) responded() {
	m, status := x.memory(), x.Resp.Status
	m.responses[x.Kind][min(status/100, classes-1)].Add(1)
	if x.Kind == request.Upgrade || x.Kind == request.DirectConnect {
		x.heeded(m)
	}
	if took := m.took[x.Kind]; took != nil && !x.SentAt.IsZero() && x.Upload.AtOnce() {
		d := time.Since(x.SentAt)
		took.Observe(d.Seconds())
		x.tookTime(m, d)
	}
	if x.Query.SID != "" && (status == 200 || status == 101) {
		m.forgetting.answered(x.Binding)
	}
	if status >= 500 && x.Query.SID != "" && x.Kind != request.Preflight {
		x.tellErrors(m)
	}
}

// inSessions is how many requests of sessions the node has answered.
func (m *memory) inSessions() int64 {
	return m.answers(request.Poll) + m.answers(request.Post) + m.answers(request.Upgrade)
}

// answers is how many requests of a kind the node has answered.
func (m *memory) answers(k request.Kind) (sum int64) {
	for c := range classes {
		sum += int64(m.responses[k][c].Load())
	}
	return sum
}

// serves reports whether the node has served sessions.
func (m *memory) serves() bool {
	const switched, ok = 1, 2
	return m.made.Load() > 0 || m.responses[request.Poll][ok].Load() > 0 || m.responses[request.Post][ok].Load() > 0 ||
		m.responses[request.Upgrade][switched].Load() > 0 || m.responses[request.DirectConnect][switched].Load() > 0
}

// spate counts what happens within a minute.
type spate struct {
	mu     sync.Mutex
	began  time.Time
	last   time.Time
	count  int64
	before int64 // of what it is a part, what came earlier
}

// more notes that it has happened once more, the last of so many in all, and returns how often it has within the minute, and of how
// many.
func (s *spate) more(now time.Time, all int64) (count, of int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.began) > memoryWindow {
		s.began, s.count, s.before = now, 0, all-1
	}
	s.count++
	s.last = now
	return s.count, all - s.before
}

// within returns how often it has happened within a minute.
func (s *spate) within(now time.Time) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.began) > memoryWindow {
		return 0
	}
	return s.count
}

// lasts is how long it has been between the first and the last of those that more counts.
func (s *spate) lasts() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.Sub(s.began)
}
