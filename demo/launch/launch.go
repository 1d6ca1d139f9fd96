// Package launch runs the whole demo on one machine: chat nodes and gateway replicas as processes of their own, so that
// killing one is real, a Redis inside this process unless another one is named, and a front that hands each connection to
// the next replica in turn.
//
//	l := launch.New(launch.Options{Listen: "127.0.0.1:8080", Nodes: 3, Replicas: 2, Out: os.Stdout})
//	err := l.Run(ctx) // until ctx is done
//
// The processes are this binary itself; main runs them by the flags that package launch gives them. A process that ends
// is started again. None outlives this one: each holds one end of a pipe and ends with the other, and where the kernel
// can end it with its parent, it does.
package launch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidway/sidway/demo/chat"
)

// Options says what to run.
type Options struct {
	Listen   string // the one address for browsers; empty for the usual one, or a free one where that is taken
	Nodes    int    // chat nodes in all
	NodeJS   int    // how many of them are Node processes
	Replicas int
	Redis    string    // URL; empty for one inside this process
	History  int       // messages kept in a room; 0 for the default
	Out      io.Writer // gets the one line with the address
	Errors   io.Writer // what the processes say goes here
	Log      *slog.Logger
}

// Launch is a running demo.
type Launch struct {
	opts     Options
	token    string
	redis    *embedded // nil when a real one is used
	redisURL string
	nodes    []*process
	replicas []*process
	front    *front
	control  net.Listener
	address  string
	phone    string          // URL for phones, see phoneURL
	running  context.Context // of Run
	errands  sync.WaitGroup  // what people have asked for
	events
}

// Cluster is what the replicas call the nodes.
const Cluster = "demo"

// most is how many nodes, and replicas, may be started.
const most = 100

// patience bounds how long the processes may take to start.
const patience = time.Minute

// New checks nothing and starts nothing; Run does.
func New(o Options) *Launch { return &Launch{opts: o, token: rand.Text()} }

// Run starts everything, prints the address when it can be used, and ends everything when ctx is done.
func (l *Launch) Run(ctx context.Context) error {
	o := l.opts
	if o.Nodes > most || o.Replicas > most {
		return fmt.Errorf("at most %d nodes and as many replicas fit on one machine", most)
	}
	if o.Nodes < 1 || o.Replicas < 1 || o.NodeJS < 0 || o.NodeJS > o.Nodes {
		return errors.New("at least one node and one replica are needed, and no more Node.js nodes than nodes")
	}
	defer l.close()
	if err := l.open(); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	work, failed := errgroup.WithContext(running)
	l.running = failed
	defer l.errands.Wait()
	for _, p := range append(l.nodes, l.replicas...) {
		work.Go(func() error { return p.run(failed) })
	}
	if l.redis != nil {
		work.Go(func() error { return l.redis.run(failed) })
	}
	work.Go(func() error { return l.front.run(failed) })
	work.Go(func() error { return l.serveControl(failed) })
	work.Go(func() error { return l.announce(failed) })
	if err := work.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// open takes the addresses that have to be known before anything starts.
func (l *Launch) open() (err error) {
	if l.front, err = newFront(l.opts.Listen); err != nil {
		return err
	}
	l.address = l.front.address()
	own, _ := net.InterfaceAddrs() // without them phones get no address
	l.phone = phoneURL(l.front.listener.Addr(), own)
	if l.control, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return fmt.Errorf("control: %w", err)
	}
	l.redisURL = l.opts.Redis
	if l.redisURL == "" {
		if l.redis, err = startEmbedded(); err != nil {
			return err
		}
		l.redis.note = l.note
		l.redisURL = l.redis.url()
	}
	return l.plan()
}

// plan decides the processes. Nodes and replicas know each other's addresses, so these stay when a process is started
// again.
func (l *Launch) plan() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ports, err := freePorts(l.opts.Nodes + 2*l.opts.Replicas)
	if err != nil {
		return err
	}
	var nodeFlags, replicaFlags []string
	for i := range l.opts.Nodes {
		nodeFlags = append(nodeFlags, "--node", fmt.Sprintf("n%d=http://%s", i+1, ports[i]))
	}
	for i := range l.opts.Replicas {
		replicaFlags = append(replicaFlags, "--replica", fmt.Sprintf("r%d=%s", i+1, ports[l.opts.Nodes+i]))
	}
	for i := range l.opts.Nodes {
		p := &process{name: fmt.Sprintf("n%d", i+1), kind: "go", address: ports[i]}
		p.argv = append([]string{self, "--node-only"}, replicaFlags...)
		if i >= l.opts.Nodes-l.opts.NodeJS {
			script, err := nodeScript()
			if err != nil {
				return err
			}
			p.kind, p.argv = "js", append([]string{"node", script}, replicaFlags...)
		}
		p.argv = append(p.argv, "--child", "--name", p.name, "--listen", p.address, "--history", strconv.Itoa(l.opts.History))
		p.abrupt = true
		l.nodes = append(l.nodes, l.own(p))
	}
	for i := range l.opts.Replicas {
		p := &process{name: fmt.Sprintf("r%d", i+1), kind: "sidway", address: ports[l.opts.Nodes+i]}
		p.admin = ports[l.opts.Nodes+l.opts.Replicas+i]
		p.argv = append([]string{self, "--replica-only", "--child", "--name", p.name, "--listen", p.address, "--admin", p.admin}, nodeFlags...)
		l.replicas = append(l.replicas, l.own(p))
		l.front.targets = append(l.front.targets, p.address)
	}
	return nil
}

// own gives a process what all of them get. Secrets go by the environment, which other users cannot read.
func (l *Launch) own(p *process) *process {
	p.env = []string{
		"REDIS_URL=" + l.redisURL, "SIDWAY_DEMO_TOKEN=" + l.token,
		"SIDWAY_DEMO_CONTROL=http://" + l.control.Addr().String(),
	}
	p.out, p.log, p.note = l.opts.Errors, l.opts.Log, l.note
	return p
}

// announce prints the address when all processes take connections.
func (l *Launch) announce(ctx context.Context) error {
	limited, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the processes did not start in time"))
	defer cancel()
	for _, p := range append(l.nodes, l.replicas...) {
		if err := p.wait(limited); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if l.redis == nil { // in another run a drain may not have come to its end
		for _, p := range l.nodes {
			_ = l.askAny(limited, http.MethodDelete, drainPath(p.name), nil)
		}
	}
	_, err := fmt.Fprintf(l.opts.Out, "The chat is at http://%s\n", l.address)
	return err
}

func (l *Launch) serveControl(ctx context.Context) error {
	s := &http.Server{Handler: l.controlHandler(), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l.control); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}

// close gives back what open took.
func (l *Launch) close() {
	if l.front != nil {
		l.front.close()
	}
	if l.control != nil {
		l.control.Close()
	}
	if l.redis != nil {
		l.redis.close()
	}
}

// state is what the panel draws.
func (l *Launch) state() chat.State {
	s := chat.State{
		Redis: chat.Process{Name: "redis", Kind: "redis", Up: true},
		Acts:  []string{actMove, actDrain, actKillNode, actRestartReplica}, Events: l.list(), Phone: l.phone,
	}
	if l.redis != nil {
		s.Redis = l.redis.state()
		s.Acts = append(s.Acts, actStopRedis)
	}
	for _, p := range l.nodes {
		s.Nodes = append(s.Nodes, p.state())
	}
	for _, p := range l.replicas {
		s.Replicas = append(s.Replicas, p.state())
	}
	return s
}
