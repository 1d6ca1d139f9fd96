package gateway

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/request"
)

// This file finds a session's node by asking the nodes, while the store cannot say which it is, or may not have been told: the request goes
// to one after the other until one does not answer that it has no such session. Such an answer has no effect on a node.

// What can become of a search.
const (
	searchFound   = "found"
	searchUnknown = "unknown" // no node has the session
	searchUnsure  = "unsure"  // a node could not be asked
	searchLimited = "limited" // by limits.unknown_sids
)

// makes is what the sessions have in common that a cluster's nodes have made here.
type makes struct {
	last     atomic.Pointer[engineio.Open]
	versions [2]atomic.Bool   // revisions 3 and 4
	lengths  [2]atomic.Uint64 // of sids, a bit for each from 1 to 128
}

// learn notes a new session.
func (m *makes) learn(version int, o engineio.Open) {
	if v := &m.versions[version-3]; !v.Load() {
		v.Store(true)
	}
	if word, bit := m.length(o.SID); word.Load()&bit == 0 {
		word.Or(bit)
	}
	o.SID, o.WebSocket = "", false
	if m.last.Load() == nil || m.likely() != o {
		latest := o
		m.last.Store(&latest)
	}
}

// length returns where the bit of a sid's length stands.
func (m *makes) length(sid string) (word *atomic.Uint64, bit uint64) {
	n := len(sid) - 1
	return &m.lengths[n/64], 1 << (n % 64)
}

// could reports whether a node of the cluster may have made sid, as far as is known.
func (m *makes) could(sid string) bool {
	word, bit := m.length(sid)
	return m.last.Load() == nil || word.Load()&bit != 0
}

// likely is what the open packet of a session has said that another replica knows.
func (m *makes) likely() (o engineio.Open) {
	if last := m.last.Load(); last != nil {
		o = *last
	}
	return o
}

// sure reports whether all sessions are of that revision. That a request says so proves nothing, and an upgrade by another one ends
// some nodes.
func (m *makes) sure(version int) bool {
	return m.versions[version-3].Load() && !m.versions[4-version].Load()
}

// mayBeStray reports whether a replica that is missing may have made a session that the store does not know.
func (g *Gateway) mayBeStray() bool {
	if g.missing == nil {
		return false
	}
	_, may := g.missing()
	return may
}

// tellStray tells of a session that a missing replica has made, and not written to Redis.
func (x *exchange) tellStray() {
	if !x.stray || x.g.missing == nil {
		return
	}
	if all, _ := x.g.missing(); len(all) > 0 {
		names := strings.Join(all, ", ")
		x.tellFault(faultCutOff, names, "a replica lives, but binds sessions of which Redis knows nothing: Redis cannot be reached from there, or refuses it. See its log, its password and rights, and the network between",
			"replica", names)
	}
}

// search begins to ask the nodes, or holds the request where that is not to be done. A body that is not here whole cannot be sent twice. What
// a handshake by JSONP forbids is in the binding alone.
func (c *clientConn) search() {
	x := c.x
	switch {
	case x.route.unbound.Has(x.Query.SID), x.route.ended.Has(x.Query.SID):
		c.fail(engineio.SIDUnknown)
		return
	case x.Kind == request.Preflight, !x.Upload.Complete, !x.route.makes.could(x.Query.SID),
		x.Kind == request.Upgrade && !x.route.makes.sure(x.Query.Version),
		x.Kind == request.Post && x.Query.JSONP == "" && bytes.HasPrefix(x.Upload.Body, []byte("d=")):
		c.holdForStore()
		return
	case x.route.Auth != nil && !x.vouched:
		c.vouch()
		return
	}
	x.searches, x.unsure, x.mayHave, x.spent, x.Tried = true, false, false, spent{}, x.Tried[:0]
	c.searchOn()
}

// vouch has the gate of a cluster with auth say of the request's own token when the session it is searched for ends, which only the binding
// says otherwise. A request that brings no token, or one that is not good, waits for the store: it may belong to a session all the same.
func (c *clientConn) vouch() {
	x := c.x
	if len(x.route.Auth.From) == 0 || x.Token() == "" {
		c.holdForStore()
		return
	}
	v, later := x.route.Auth.Gate.Judge(x.Ask())
	judged := func() {
		if v.Outcome != auth.Granted || v.Ends != 0 && c.overAt(v.Ends) {
			c.holdForStore()
			return
		}
		x.vouched, x.Granted.Ends = true, v.Ends
		c.search()
	}
	if later == nil {
		judged()
		return
	}
	c.await(func() { v = later() }, judged, nil)
}

// searchOn asks the next node.
func (c *clientConn) searchOn() {
	x := c.x
	if slices.ContainsFunc(x.asides, aside.answered) {
		c.goBack()
		return
	}
	n := x.nextToSearch()
	if n == nil {
		if c.goBack() {
			return
		}
		if x.unsure || x.mayHave {
			c.holdSearch(searchUnsure)
			return
		}
		x.searches = false
		x.searched(searchUnknown)
		c.fail(engineio.SIDUnknown)
		return
	}
	spent, over, full := c.spend()
	if over || full {
		if !c.goBack() {
			c.holdSearch(searchLimited)
		}
		return
	}
	x.spent.add(spent)
	x.Tried = append(x.Tried, n)
	x.Node, x.redialed = n, false
	x.Binding = x.NewBinding(x.route.makes.likely())
	if cause, ok := x.Admissible(); !ok {
		c.fail(cause)
		return
	}
	c.ask()
}

// nextToSearch returns a node that was not asked yet, one that seems to be well before others.
func (x *exchange) nextToSearch() (next *cluster.Node) {
	all := x.route.Cluster.Nodes()
	for i, first := 0, rand.IntN(max(len(all), 1)); i < len(all); i++ {
		n := all[(first+i)%len(all)]
		if slices.Contains(x.Tried, n) {
			continue
		}
		if !n.Fails() {
			return n
		}
		next = n
	}
	return next
}

// notThere goes on with the search after a node that could not be asked, or died while it was. A session lives on one node: what this one may have
// read is of no use to another that has the session, nor the other way round. But it is not asked again.
func (c *clientConn) notThere(err error) {
	x := c.x
	x.leave()
	switch {
	case !x.SentAt.IsZero() && x.Kind != request.Poll:
		x.mayHave = true
	case errors.Is(err, request.ErrRefused): // it is gone, and its sessions with it
		x.route.Cluster.Failed(x.Node)
	default:
		x.unsure = true
	}
	c.searchOn()
}

// holdSearch holds a request whose session was not found, unless a node that cannot be asked again may have had it.
func (c *clientConn) holdSearch(outcome string) {
	x := c.x
	x.searches = false
	x.searched(outcome)
	if x.mayHave {
		if x.Kind != request.Upgrade { // one that fails costs the session nothing
			x.over(x.Query.SID, "a node that may have had it did not answer")
		}
		c.fail(engineio.SessionGone)
		return
	}
	c.holdForStore()
}

// heardThere reports whether the answer of a node that was asked in a search is the session's. Else the search goes on. first is what is
// known of the body.
func (c *clientConn) heardThere(first []byte) bool {
	x := c.x
	status := x.Resp.Status
	if status != 101 && status != 200 { // how makers say that they do not know a sid differs
		if x.Kind != request.Upgrade && !engineio.IsUnknownSID(status, first) {
			x.unsure = true
		}
		c.dropNode()
		x.leave()
		x.Early = x.Early[:0]
		c.searchOn()
		return false
	}
	x.searches = false
	x.dropAsides()
	x.searched(searchFound)
	c.g.quota.giveBack(x.spent)
	x.heldAt = time.Time{}
	x.route.newcomers.adopted.Add(1)
	x.tellStray()
	return true
}

// remember binds a session that was found, if all is known of it that a binding has to say.
func (x *exchange) remember() func() {
	if !x.route.makes.sure(x.Query.Version) {
		return nil
	}
	return func() { _ = x.route.Store.Bind(context.Background(), x.Query.SID, x.Binding) } // a store that is away is told later
}

// searched counts what became of a search, and tells of the first.
func (x *exchange) searched(outcome string) {
	name := x.route.Cluster.Name
	x.g.metrics.searches.WithLabelValues(name, outcome).Inc()
	if outcome == searchFound && x.g.notices.due("search", name, "") {
		x.g.log.Warn("sessions are found by asking the nodes, since the store cannot say where they are, or a replica is missing that may have bound them",
			"cluster", name)
	}
}
