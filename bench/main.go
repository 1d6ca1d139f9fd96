//go:build linux

// Bench measures sidway beside nginx, HAProxy, Caddy, a relay that only copies bytes (the floor) and a line without a
// proxy, in alternating rounds with one load generator and one set of nodes, and tells what each of them spends for the
// same work.
//
//	go run ./bench                                   everything, 5 rounds: more than an hour
//	go run ./bench -quick                            what two minutes can tell
//	go run ./bench -only poll64,frame200 -proxies direct,sidway,nginx-1
//	go run ./bench -syscalls                         system calls for a poll and for a frame, by perf
//	go run ./bench -growth                           sidway with more sessions and more nodes: half an hour
//	go run ./bench -traffic                          split requests, pages, refusals, unknown sids: an hour
//	go run ./bench -storm                            thousands of clients at once before slow nodes: five minutes
//	go run ./bench -floods                           live sessions while one address takes all connections: ten minutes
//	go run ./bench -tls                              clients that speak TLS: ten minutes
//	go run ./bench -moving                           sidway with sessions that can move, so that it reads frames: ten minutes
//	go run ./bench -newer /tmp/newer                 newer nginx and HAProxy too, which tools/newer.sh fetches
//	go run ./bench -sidway base=/tmp/a,head=/tmp/b -only poll64,frame200 -rounds 10
//	go run ./bench -page docs/performance.md         fill the page from what is in bench/out, without a measurement
//
// It prints tables, and writes into -out the raw samples (run.json), charts, and for each build of sidway its samples as
// benchstat reads them (<name>.txt). It needs nginx, haproxy, caddy, redis-server and Go, and perf for -syscalls, all of
// which tools/deps.sh installs; on loopback, with 20,000 file descriptors. Every process that it starts it also ends, and
// the exit status is 1 when something was not measured or answered wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sidway/sidway/bench/busy"
	"github.com/sidway/sidway/bench/crowd"
	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/node"
	"github.com/sidway/sidway/bench/relay"
	"github.com/sidway/sidway/bench/report"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the command, or one of the processes that the command starts: the load and the nodes are this program too.
func run(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "load":
			return load.Main(os.Stdin, os.Stdout)
		case "crowd":
			return crowd.Main(os.Stdin, os.Stdout)
		case "busy":
			return busy.Main(args[1:])
		case "node":
			return node.Main(args[1:])
		case "relay":
			return relay.Main(args[1:])
		}
	}
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.page != "" {
		return writePage(o)
	}
	return measure(ctx, o)
}

// options are what the flags say.
type options struct {
	quick, syscalls bool
	growth, traffic bool
	storm, floods   bool
	tls, moving     bool
	rounds          int
	seconds         float64
	only, proxies   string
	sidway, newer   string
	out, page       string
	command         string // all of them, for the page
}

func parse(args []string) (options, error) {
	o := options{command: strings.Join(append([]string{"go run ./bench"}, args...), " ")}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.BoolVar(&o.quick, "quick", false, "fewer workloads, one round, short windows: two minutes")
	f.BoolVar(&o.syscalls, "syscalls", false, "count system calls instead, by perf")
	f.BoolVar(&o.growth, "growth", false, "measure instead what sidway spends with more sessions and with more nodes")
	f.BoolVar(&o.traffic, "traffic", false, "measure instead what else comes on an ordinary day: split requests, pages, refusals, unknown sids")
	f.BoolVar(&o.storm, "storm", false, "let instead thousands of clients connect at once to nodes that need a while for each")
	f.BoolVar(&o.floods, "floods", false, "see instead what live sessions lose while one address takes all connections")
	f.BoolVar(&o.tls, "tls", false, "measure instead clients that speak TLS")
	f.BoolVar(&o.moving, "moving", false, "measure instead Socket.IO's events through sidway whose sessions can move, and whose cannot")
	f.IntVar(&o.rounds, "rounds", 0, "rounds (5, with -storm and -floods 3, with -quick 1)")
	f.Float64Var(&o.seconds, "seconds", 0, "length of a measured window (5, with -quick 1), of a flood (40 and 30), or of a storm at most (240)")
	f.StringVar(&o.only, "only", "", "these workloads, with commas between: "+names(append(workloads(), traffic()...)))
	f.StringVar(&o.proxies, "proxies", "", "these proxies, by name or family: direct,sidway,nginx,haproxy-2,caddy,floor")
	f.StringVar(&o.sidway, "sidway", "", "builds of sidway to measure, as name=path,name=path; otherwise it is built")
	f.StringVar(&o.newer, "newer", "", "measure nginx and HAProxy of this folder too (tools/newer.sh), as nginx-new and haproxy-new")
	f.StringVar(&o.out, "out", filepath.Join("bench", "out"), "folder for run.json, charts and lines for benchstat")
	f.StringVar(&o.page, "page", "", "measure nothing: fill this page from the run.json in -out")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	if o.rounds == 0 {
		o.rounds = pick(o.quick, 1, pick(o.crowds(), 3, 5))
	}
	if o.seconds == 0 && !o.crowds() {
		o.seconds = pick(o.quick, 1.0, 5.0)
	}
	o.proxies = compared(o)
	if len(o.kinds()) > 1 {
		return o, fmt.Errorf("%s are two runs", strings.Join(o.kinds(), " and "))
	}
	if o.rounds < 0 || o.seconds < 0 {
		return o, errors.New("rounds and seconds cannot be negative")
	}
	return o, nil
}

// comparison is the kind of a run without -syscalls, -growth, -traffic, -storm, -floods, -tls and -moving.
const comparison = "run"

// kinds are the kinds of runs that are asked for, of which there should be one at most.
func (o options) kinds() (list []string) {
	for _, k := range []struct {
		asked bool
		name  string
	}{{o.syscalls, "syscalls"}, {o.growth, "growth"}, {o.traffic, "traffic"}, {o.storm, "storm"}, {o.floods, "floods"}, {o.tls, "tls"}, {o.moving, "moving"}} {
		if k.asked {
			list = append(list, k.name)
		}
	}
	return list
}

// kind is the run's kind, which its file is named after.
func (o options) kind() string { return append(o.kinds(), comparison)[0] }

// crowds tells whether crowds are let loose.
func (o options) crowds() bool { return o.storm || o.floods }

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// writePage fills a page from what earlier runs measured: each kind of run has a file of its own.
func writePage(o options) error {
	runs := map[string]*report.Run{}
	for _, kind := range []string{comparison, "syscalls", "growth", "traffic", "storm", "floods", "tls", "moving"} {
		r, err := report.Load(filepath.Join(o.out, kind+".json"))
		if err == nil {
			runs[kind] = r
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if len(runs) == 0 {
		return fmt.Errorf("nothing was measured in %s", o.out)
	}
	r := runs[comparison]
	if r == nil {
		r = new(report.Run)
	}
	if calls := runs["syscalls"]; calls != nil {
		r.Calls, r.CallWorkloads = calls.Calls, calls.Workloads
	}
	r.Growth, r.Traffic, r.Storm, r.Floods = runs["growth"], runs["traffic"], runs["storm"], runs["floods"]
	r.TLS, r.Moving = runs["tls"], runs["moving"]
	return r.WritePage(o.page)
}
