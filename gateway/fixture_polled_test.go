package gateway_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
)

// servePolled serves a request by polling, and finds what ends a session at other servers: two polls, or two POSTs, at a time.
func (n *restorer) servePolled(w http.ResponseWriter, r *http.Request) {
	sid := r.FormValue("sid")
	if sid == "" {
		sid = rand.Text()[:20]
		s := &socket{queue: make(chan string, 1000)}
		n.mu.Lock()
		n.sockets[s], n.polled[sid] = true, s
		n.mu.Unlock()
		fmt.Fprint(w, n.open(sid))
		return
	}
	n.mu.Lock()
	s := n.polled[sid]
	n.mu.Unlock()
	switch {
	case s == nil && n.fault().cuts:
		panic(http.ErrAbortHandler)
	case s == nil:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"code":1,"message":"Session ID unknown"}`)
	case r.Method == http.MethodPost:
		if s.posts.Add(1) > 1 {
			n.t.Error("two POSTs at a time")
		}
		body, _ := io.ReadAll(r.Body)
		for text := range strings.SplitSeq(string(body), "\x1e") {
			if text == "1" {
				n.mu.Lock()
				delete(n.polled, sid)
				n.mu.Unlock()
				s.say("6")
				go n.leave(s)
				continue
			}
			n.handle(s, []byte(text))
		}
		s.posts.Add(-1)
		fmt.Fprint(w, "ok")
	default:
		if s.polls.Add(1) > 1 {
			n.t.Error("two polls at a time")
		}
		defer s.polls.Add(-1)
		select {
		case text := <-s.queue:
			for len(s.queue) > 0 {
				text += "\x1e" + <-s.queue
			}
			fmt.Fprint(w, text)
		case <-r.Context().Done():
			n.mu.Lock()
			delete(n.polled, sid)
			n.mu.Unlock()
			n.leave(s)
		}
	}
}

// gotAll fails unless the client gets so many events, e0, e1…, in order.
func (m *member) gotAll(count int) {
	m.t.Helper()
	for i := range count {
		if got, want := m.next(), fmt.Sprintf(`42["e%d",`, i); !strings.HasPrefix(got, want) {
			m.t.Fatalf("the client got %s, want %s", got, want)
		}
	}
}

// haveAll waits until nodes have so many events of a client, c0, c1…, each of them in order.
func haveAll(t *testing.T, nodes []*restorer, count int) {
	t.Helper()
	eventually(t, "the nodes have all", func() bool {
		all := 0
		for _, n := range nodes {
			all += len(n.events())
		}
		return all == count
	})
	for _, n := range nodes {
		last := -1
		for _, e := range n.events() {
			var i int
			if fmt.Sscanf(e, `42["c%d"]`, &i); i <= last {
				t.Errorf("%s got %d behind %d", n.name, i, last)
			}
			last = i
		}
	}
}

// dueStore knows bindings as if all were due, and writes what it is to renew.
type dueStore struct {
	*affinity.Cached
	back *affinity.Redis
}

func (s dueStore) Known(sid string) (affinity.Binding, bool) {
	b, known := s.Cached.Known(sid)
	b.Expires = time.Now()
	return b, known
}

func (s dueStore) Bind(ctx context.Context, sid string, b affinity.Binding) error {
	if b.Expires.IsZero() {
		return s.Cached.Bind(ctx, sid, b)
	}
	return s.back.Bind(ctx, sid, b)
}

// shareStore is a replica's store, of bindings that it shares through Redis.
func shareStore(t *testing.T, server *affinitytest.Redis) *affinity.Cached {
	t.Helper()
	c := affinity.NewCached(affinity.NewMemory(1000), affinity.NewRedis(server.Client(), "bindings:"), affinity.CachedOptions{})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return c
}

// startPair is startRestorers of two nodes with two replicas that share their bindings. due is whether the second one renews what it knows with each request.
func startPair(t *testing.T, due bool) (s, other *site, server *affinitytest.Redis, nodes []*restorer) {
	t.Helper()
	var own gateway.Route
	s, server, nodes = startRestorers(t, 2, func(r *gateway.Route) { own = *r })
	own.Store = shareStore(t, server)
	s.reroute(own)
	var configs []cluster.Config
	for _, n := range s.clusters[0].Nodes() {
		configs = append(configs, cluster.Config{Name: n.Name, Address: n.Address, Weight: 1, TLS: n.TLS})
	}
	theirs := own
	cached := shareStore(t, server)
	theirs.Store = cached
	if due {
		theirs.Store = dueStore{cached, affinity.NewRedis(server.Client(), "bindings:")}
	}
	theirs.Cluster = cluster.New("c1", cluster.Settings{Method: cluster.RoundRobin, Nodes: configs})
	other = startGateway(t, func(o *siteOptions) { o.routes = append(o.routes, theirs) })
	return s, other, server, nodes
}

// through returns the same client for requests through another replica.
func (p *poller) through(other *site) *poller {
	return &poller{
		member: member{t: p.t, got: p.got}, url: strings.Replace(p.url, p.site.addr, other.addr, 1),
		http: http.Client{Transport: p.http.Transport}, ctx: p.ctx,
	}
}

// has reports whether a client is connected to it by this id.
func (n *restorer) has(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.sockets {
		if s.sid == id {
			return true
		}
	}
	return false
}

// again does something again and again until stop is called, which returns how often it has.
func again(every time.Duration, do func(i int)) (stop func() int) {
	over, count := make(chan struct{}), 0
	var work sync.WaitGroup
	work.Go(func() {
		for ; ; count++ {
			select {
			case <-over:
				return
			case <-time.After(every):
				do(count)
			}
		}
	})
	return func() int {
		close(over)
		work.Wait()
		return count
	}
}
