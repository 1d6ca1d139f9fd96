package replica

import (
	"context"
	"io/fs"
	"net"
	"net/netip"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
)

// The memory of bindings, for a test that does not wait for minutes.
var NewMemory = newMemory

// The losses of bindings, for the same.
var NewLosses = newLosses

func (l *losses) Add(n int) { l.add(n) }

func (l *losses) Tick(now time.Time) { l.tick(now) }

func (r *Replica) ComparedKeys() (keys []string) {
	for _, c := range comparisons(r.cfg.Load()) {
		keys = append(keys, c.key)
	}
	return keys
}

func (m *memory) Tick(now time.Time) { m.tick(now) }

// SetSystem has the limits of processors read from another filesystem, and follows them as Run does every few seconds.
func (r *Replica) SetSystem(system fs.FS) {
	r.system = system
	r.shareProcessors()
}

// SetAdminTimes changes how long the admin address waits for a request, and keeps an idle connection. It comes before Run.
func (r *Replica) SetAdminTimes(header, idle time.Duration) {
	r.admin.ReadHeaderTimeout, r.admin.IdleTimeout = header, idle
}

// Status tells how the replica is.
func (r *Replica) Status() api.Status { return r.status() }

// Clusters are those of the configuration.
func (r *Replica) Clusters() (all []*cluster.Cluster) {
	for _, p := range r.parts() {
		all = append(all, p.nodes.Cluster)
	}
	return all
}

// Twins tells which nodes of a cluster are one process.
func Twins(ctx context.Context, nodes []config.Node, look func(ctx context.Context, network, host string) ([]netip.Addr, error)) (all []string) {
	for _, t := range twinsOf(ctx, map[string][]config.Node{"chat": nodes}, look) {
		all = append(all, t.names()+" at "+t.at.String())
	}
	return all
}

// Close gives back what New opened, where Run is not called.
func (r *Replica) Close() {
	r.gateway.Close()
	r.close()
}

// Hang has the first loop hang until the function that is returned is called.
func (r *Replica) Hang() (release func()) {
	h := make(hung)
	r.loops[0].Send(h)
	return func() { close(h) }
}

type hung chan struct{}

func (h hung) Receive() { <-h }

// Traced is what is told of a session after others have answered so.
func Traced(answers ...string) (t api.Trace) {
	var all []sighting
	for _, text := range answers {
		all = append(all, readSightings(text)...)
	}
	merge(&t, all)
	judge(&t, all, nil)
	return t
}

// TellAuth returns what logs that the look-ups of a cluster's auth fail, and that they work again.
func TellAuth(r *Replica, cluster string) func(error) { return r.tellAuth(cluster, "fails", "works") }

// LimitMemory limits this process's memory by another filesystem.
func LimitMemory(r *Replica, system fs.FS) {
	before := r.system
	r.system = system
	r.limitMemory()
	r.system = before
}

// Kin returns the stores of a process and its successor, which know each other over these connections, and what ends that.
func Kin(a, b net.Conn) (x, y affinity.Store, end func()) {
	var stores [2]affinity.Store
	var all [2]kin
	for i, conn := range []net.Conn{a, b} {
		m, k := affinity.NewMemory(1<<16), &all[i]
		k.add(k.open(conn, func(_ *link, words []string) {
			var b affinity.Binding
			if b.UnmarshalText([]byte(words[3])) == nil {
				_ = m.Bind(context.Background(), words[2], b)
			}
		}))
		stores[i] = sharedMemory{m, "chat", k}
	}
	return stores[0], stores[1], func() { all[0].close(); all[1].close() }
}

// Name is what r is known by to other replicas.
func (r *Replica) Name() string { return r.name() }

// LosesBindings reports whether Redis has lost bindings of the first cluster lately.
func (r *Replica) LosesBindings() bool { return r.parts()[0].losses.lately(time.Now()) }
