// Package health probes the nodes of one cluster, and tells what it finds.
//
//	p := health.New(health.Options{Tell: func(v health.Verdict) { … c.SetHealthy(node, v.Healthy) … }})
//	p.Update(health.Settings{Path: "/healthz"}, nodes)
//	go p.Run(ctx)
//	…
//	p.Update(settings, nodes)    // the configuration or the nodes have changed
//
// A node that has never been probed counts as healthy. It becomes unhealthy when Fall probes in a row have failed, and healthy again
// when Rise in a row were good. What is done with a verdict is for the caller: this package knows no cluster.
//
// A probe has a connection of its own, so that it finds a node that accepts no new ones, and never goes through a proxy, whatever the
// environment says.
package health

import (
	"cmp"
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Settings say how nodes are probed: by an Engine.IO handshake, else by a GET of Path, else by a connection over TCP.
type Settings struct {
	Path      string        // path and query
	Status    int           // that Path must be answered with; 0: 200. Redirects are not followed
	Interval  time.Duration // from the end of one probe of a node to the next, give or take a tenth; 0: 5s
	Timeout   time.Duration // for one probe as a whole; 0: 2s
	Rise      int           // good probes in a row until an unhealthy node is healthy; 0: 2
	Fall      int           // failed probes in a row until a healthy node is unhealthy; 0: 3
	Handshake bool          // open an Engine.IO session at EngineIO, and close it again
	EngineIO  string        // where the nodes serve Engine.IO, as /socket.io/
}

// asks reports whether nodes are asked for something.
func (s Settings) asks() bool { return s.Path != "" || s.Handshake }

func (s Settings) withDefaults() Settings {
	s.Status = cmp.Or(s.Status, 200)
	s.Interval = cmp.Or(s.Interval, 5*time.Second)
	s.Timeout = cmp.Or(s.Timeout, 2*time.Second)
	s.Rise = cmp.Or(s.Rise, 2)
	s.Fall = cmp.Or(s.Fall, 3)
	return s
}

// hurry is how long the next probe waits after one that contradicts the verdict: so that it is found out soon which of them is right.
func (s Settings) hurry() time.Duration {
	return min(s.Interval, max(s.Interval/5, 250*time.Millisecond))
}

// Node is whom to probe.
type Node struct {
	Name    string
	Address string      // host:port
	TLS     *tls.Config // nil: plain
	First   string      // written in front of all else on each connection: a header of the PROXY protocol
}

// Verdict is what is known of a node after a probe of it. An agent's words (Drain, Weight) stand until a good probe says something
// else, or nothing.
type Verdict struct {
	Node    string
	Address string // that was probed
	Healthy bool
	Changed bool    // Healthy or Drain is not what it was before this probe
	Outcome Outcome // of this probe alone
	// Reason says in at most 100 printable ASCII characters what is wrong: with this probe, or, while the node is unhealthy, with the
	// last that failed. It is empty where nothing is.
	Reason string
	Drain  bool          // the node asks for no new sessions
	Weight float64       // 0 to 1: the share of its configured weight that the node asks for; 1 where it asks for nothing
	Took   time.Duration // how long the probe took
	At     time.Time     // when it was over
}

// Prober probes the nodes of one cluster. Its methods may be called concurrently, Run once at a time.
type Prober struct {
	o    Options
	wake chan struct{} // has room for one: the nodes or the settings have changed

	mu       sync.Mutex
	settings Settings
	nodes    map[string]*state // by name
}

// state is what is known of one node at one address.
type state struct {
	Node
	due     time.Time // when the next probe may begin
	busy    bool      // a probe is under way
	healthy bool
	streak  int // probes in a row that contradict healthy
	says    words
	last    Verdict
	probed  bool // last is a verdict
	spoke   bool // it has answered by HTTP, as it is spoken to
}

// Options are what a Prober needs beside nodes and settings.
type Options struct {
	// Tell is called after each probe of a node that the Prober has at that moment, never twice at a time and only while Run runs. It
	// must not block; it may call the Prober's methods.
	//
	// Whoever follows verdicts should do so at each call, not only at changes: a node whose address has changed begins anew as healthy.
	Tell func(Verdict)
	// Dial connects; nil means by net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// New returns a Prober that has no nodes.
func New(o Options) *Prober {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	return &Prober{o: o, wake: make(chan struct{}, 1), nodes: map[string]*state{}}
}

// Update has p probe these nodes in this way from now on. What it knows of a node goes on by the node's name, unless the address has
// changed. Other settings leave the verdicts, but not the probes in a row that had not yet led to one. The same again changes nothing.
func (p *Prober) Update(settings Settings, nodes []Node) {
	settings = settings.withDefaults()
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	differ := settings != p.settings
	p.settings = settings
	known := p.nodes
	p.nodes = make(map[string]*state, len(nodes))
	for _, n := range nodes {
		s := known[n.Name]
		switch {
		case s == nil || s.Node != n:
			s = &state{Node: n, healthy: true, says: quiet, due: soon(now, settings)}
		case differ:
			s.streak, s.due = 0, soon(now, settings)
		}
		p.nodes[n.Name] = s
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// soon is when nodes are probed that were not before, each at another moment.
func soon(now time.Time, s Settings) time.Time {
	return now.Add(rand.N(s.hurry()))
}

// Last returns the verdict after the last probe of a node, if there was one.
func (p *Prober) Last(node string) (Verdict, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.nodes[node]; s != nil && s.probed {
		return s.last, true
	}
	return Verdict{}, false
}
