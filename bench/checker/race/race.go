//go:build linux

// Package race has POSTs arrive at a node while it closes the idle connection that they come on, through sidway and through the
// proxies that it is measured against, and counts what becomes of them.
//
//	rows, err := race.Run(ctx, race.Plan{Sidway: path, Dir: dir, Seed: 1, Shots: 1000})
//	for _, r := range rows {
//		fmt.Println(r)
//	}
//
// A node that has closed a connection answers what comes after with a reset, and a proxy knows not what the node has read. One that sends
// the POST again may deliver it twice; one that does not fails a session that nothing was wrong with.
package race

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sidway/sidway/bench/checker/app"
	"github.com/sidway/sidway/bench/checker/client"
	"github.com/sidway/sidway/bench/checker/history"
	"github.com/sidway/sidway/bench/checker/planted"
	"github.com/sidway/sidway/bench/rival"
)

// A Plan is what is run.
type Plan struct {
	Sidway   string // path of the program
	Dir      string // for configurations, logs and histories; has to exist
	Seed     uint64
	Shots    int           // for each case and gateway
	Sessions int           // 0 for 20
	Rivals   []string      // of package rival; nil for sidway, nginx-1 and haproxy-1
	Cases    []string      // nil for all
	Window   time.Duration // 0 for 10 ms
	Each     func(Row)     // called with each row as it is there, if it is given
}

// A Row is one case through one gateway.
type Row struct {
	Case, Gateway string
	client.Shots
	Verdict history.Verdict
}

// Doubled is how many messages came twice.
func (r Row) Doubled() int { return r.Verdict.Count(history.Doubled) }

// Silent is how many messages were answered and never came.
func (r Row) Silent() int { return r.Verdict.Count(history.FalseAck) }

// Wrong tells what must not have been: that sidway fails a POST whose connection a node closed, or that it delivers one twice or never.
// What a balancer has cut may fail.
func (r Row) Wrong() error {
	if r.Gateway != rival.Sidway || r.Made > 0 && r.Doubled()+r.Silent() == 0 && (r.Failed == 0 || r.Case == Hasty || r.Case == Cut) {
		return nil
	}
	return fmt.Errorf("race: %v\n%v", r, r.Verdict)
}

// String is a line of a table.
func (r Row) String() string {
	return fmt.Sprintf("%-12s %-10s %5d shots, %4d failed, %3d delivered twice, %3d answered and lost; %d failed between shots; %v",
		r.Case, r.Gateway, r.Made, r.Failed, r.Doubled(), r.Silent(), r.Loading, r.Answers)
}

// The cases.
const (
	Announced = "announced" // the node says for how long it keeps idle connections, as Node does
	Quiet     = "quiet"     // it does not, as Go's and Python's nodes do not, or something between takes the header away
	Busy      = "busy"      // it is quiet, and has work to do: its timers are late, and what has come meanwhile lies unread
	Hasty     = "hasty"     // a balancer before the quiet node keeps idle connections for half a second, which nothing in the field does
	Cut       = "cut"       // a balancer before the quiet node resets connections when the node has handled a POST
)

var cases = map[string]struct {
	keeps time.Duration // for which the node keeps idle connections; Node adds a second
	quiet bool
	busy  time.Duration
	idle  time.Duration // for which a balancer before the node keeps them
	cut   bool          // the balancer cuts what the node has handled
}{
	Announced: {keeps: time.Second}, // the least that can be announced
	Quiet:     {keeps: 100 * time.Millisecond, quiet: true},
	Busy:      {keeps: 100 * time.Millisecond, quiet: true, busy: 10 * time.Millisecond},
	Hasty:     {keeps: 5 * time.Second, quiet: true, idle: 500 * time.Millisecond},
	Cut:       {keeps: 5 * time.Second, quiet: true, cut: true},
}

// Run does every case with every gateway, one after the other.
func Run(ctx context.Context, p Plan) ([]Row, error) {
	if p.Sessions == 0 {
		p.Sessions = 20
	}
	if p.Window == 0 {
		p.Window = 10 * time.Millisecond
	}
	if p.Rivals == nil {
		p.Rivals = []string{rival.Sidway, "nginx-1", "haproxy-1"}
	}
	if p.Cases == nil {
		p.Cases = []string{Announced, Quiet, Busy, Hasty, Cut}
	}
	var rows []Row
	for _, name := range p.Cases {
		for _, r := range rival.All(p.Sidway) {
			for _, wanted := range p.Rivals {
				if r.Name != wanted {
					continue
				}
				row, err := one(ctx, p, name, r)
				if err != nil {
					return rows, fmt.Errorf("race: %s through %s: %w", name, r.Name, err)
				}
				rows = append(rows, row)
				if p.Each != nil {
					p.Each(row)
				}
			}
		}
	}
	return rows, nil
}

// one does one case through one gateway, with a node of its own.
func one(ctx context.Context, p Plan, name string, r rival.Rival) (row Row, err error) {
	c := cases[name]
	dir := filepath.Join(p.Dir, name+"-"+r.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return row, err
	}
	// A ping would be one more POST, which nobody aims.
	n, err := app.Start(app.Options{Kind: app.SocketIO4, History: dir, KeepAlive: c.keeps, Quiet: c.quiet, Busy: c.busy, Push: time.Hour, PingInterval: time.Hour}, "n1")
	if err != nil {
		return row, err
	}
	defer n.Kill()
	aim := client.Aim{Dir: dir, Seed: p.Seed, Sessions: p.Sessions, Shots: p.Shots, Window: p.Window}
	b, err := planted.StartBalancer("0.0.0.0:0", n.Address)
	if err != nil {
		return row, err
	}
	defer b.Close()
	b.Idle = c.idle
	port := n.Port
	if c.idle > 0 || c.cut {
		port = b.Port()
	}
	if c.cut {
		aim.Fire = func() { b.CutPosts(1) }
	}
	var nodes []string
	for i := range p.Sessions { // one process by many addresses, so that each session has connections of its own
		nodes = append(nodes, fmt.Sprintf("127.0.1.%d:%d", i+1, port))
	}
	aim.After = time.Second // long before the node closes them
	if !c.cut {
		if aim.After, err = closesAfter(nodes[0]); err != nil {
			return row, err
		}
	}
	front, stop, err := start(ctx, r, nodes, dir)
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	aim.Front = front
	shots, err := client.Race(ctx, aim)
	if err != nil {
		return row, err
	}
	events, err := history.Read(dir)
	return Row{Case: name, Gateway: r.Name, Shots: shots, Verdict: history.Judge(events, nil)}, err
}

// closesAfter measures when the node closes a connection after its answer. The shots are aimed at that moment.
func closesAfter(node string) (time.Duration, error) {
	var (
		answers  [5]*bufio.Reader
		answered [5]time.Time
		times    [5]time.Duration
	)
	for i := range answers {
		c, err := net.Dial("tcp", node)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: node\r\n\r\n"); err != nil {
			return 0, err
		}
		answers[i] = bufio.NewReader(c)
		a, err := http.ReadResponse(answers[i], nil)
		if err != nil {
			return 0, err
		}
		if _, err := io.ReadAll(a.Body); err != nil {
			return 0, err
		}
		answered[i] = time.Now()
	}
	for i, in := range answers {
		if _, err := in.ReadByte(); err != io.EOF {
			return 0, fmt.Errorf("the node does not close: %w", err)
		}
		times[i] = time.Since(answered[i])
	}
	slices.Sort(times[:])
	return times[len(times)/2], nil
}

// start starts a gateway before the nodes, and the Redis that sidway asks for.
func start(ctx context.Context, r rival.Rival, nodes []string, dir string) (front string, stop func() error, err error) {
	free, err := rival.Addresses(3)
	if err != nil {
		return "", nil, err
	}
	var started []*rival.Process
	stop = func() error {
		var errs []error
		for _, p := range started {
			errs = append(errs, p.Stop())
		}
		return errors.Join(errs...)
	}
	redis, err := startRedis(ctx, free[2], dir)
	if err != nil {
		return "", nil, err
	}
	started = append(started, redis)
	p, err := r.Start(ctx, rival.Plan{Listen: free[0], Admin: free[1], Nodes: nodes, Redis: free[2], Dir: dir})
	if err != nil {
		return "", nil, errors.Join(err, stop())
	}
	started = append(started, p)
	return free[0], stop, nil
}

func startRedis(ctx context.Context, address, dir string) (*rival.Process, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return rival.Start(ctx, rival.Command{
		Name: "redis", Dir: dir, Address: address,
		Argv: []string{"redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no"},
	})
}
