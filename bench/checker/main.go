//go:build linux

// Checker kills, stops, cuts off and restarts the parts of a site while clients talk through it, and then judges whether anything was
// lost that the fault did not have to cost. The site is real: redis-server, Socket.IO nodes, two or more replicas of sidway or two
// HAProxies that share their stick tables, each in a network namespace of its own, and clients of the reference library beside raw
// ones. It has to run as root.
//
//	go run ./bench/checker                                   all faults once, small, through sidway
//	go run ./bench/checker -faults node-kill,redis-pause -seed 7
//	go run ./bench/checker -through sidway,haproxy -full -seeds 10
//	go run ./bench/checker -planted "POST sent again"        a wrong gateway instead, to see that the judge notices
//	go run ./bench/checker -race                             POSTs that meet the end of an idle connection, through rivals too
//
// A seed repeats: which node or replica is hit, when, and what clients send derive from it; what processes make of it may differ
// by the machine's timing. The exit status is 1 when an outcome is not the one that is asked for, and then the histories are kept
// and it is told where.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sidway/sidway/bench/checker/app"
	"github.com/sidway/sidway/bench/checker/nemesis"
	"github.com/sidway/sidway/bench/checker/stage/clock"
	"github.com/sidway/sidway/bench/checker/table"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "checker:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == oneRun {
		return single(args[1])
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) > 0 {
		if mode := modes[strings.TrimLeft(args[0], "-")]; mode != nil {
			return mode(ctx, args[1:])
		}
	}
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	return all(ctx, o)
}

// options are what the flags say.
type options struct {
	seed     uint64
	seeds    int
	faults   []nemesis.Fault
	through  []string
	full     bool
	sessions int
	seconds  int
	out      string
	parallel int
	slack    float64
	keep     bool
	clock    func() error // waits until the sidway is there whose clock can be set
}

func parse(args []string) (o options, err error) {
	var faults, through string
	f := flag.NewFlagSet("checker", flag.ContinueOnError)
	f.Uint64Var(&o.seed, "seed", 1, "where to begin")
	f.IntVar(&o.seeds, "seeds", 1, "how many seeds, one after the other")
	f.StringVar(&faults, "faults", "all", "these, with commas between, or all")
	f.StringVar(&through, "through", "sidway", "sidway, haproxy, or both with a comma between")
	f.BoolVar(&o.full, "full", false, "as many clients, as long faults and as slow pings as users have")
	f.IntVar(&o.sessions, "sessions", 0, "raw clients (30, with -full 300)")
	f.IntVar(&o.seconds, "seconds", 2, "before the fault, and after it")
	f.StringVar(&o.out, "out", "", "where histories are kept of runs that came out wrong (a temporary directory)")
	f.IntVar(&o.parallel, "parallel", 1, "runs at a time")
	f.Float64Var(&o.slack, "slack", 1, "what limits of time are multiplied by, on a busy machine; 0: only what is lost is judged")
	f.BoolVar(&o.keep, "keep", false, "keep the histories of all runs")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	if o.seeds < 1 || o.parallel < 1 || o.slack != 0 && o.slack < 1 || o.seconds < 1 || o.sessions < 0 {
		return o, errors.New("seeds, parallel, seconds and slack are 1 at least, or slack is 0")
	}
	if o.sessions == 0 {
		o.sessions = 30
		if o.full {
			o.sessions = 300
		}
	}
	for p := range strings.SplitSeq(through, ",") {
		if p != sidway && p != haproxy {
			return o, fmt.Errorf("-through %q is neither %s nor %s", p, sidway, haproxy)
		}
		o.through = append(o.through, p)
	}
	o.faults, err = named(faults)
	return o, err
}

const (
	sidway  = "sidway"
	haproxy = "haproxy"
)

func named(list string) ([]nemesis.Fault, error) {
	if list == "all" {
		return append(nemesis.All(), nemesis.Mix()), nil
	}
	var faults []nemesis.Fault
	for name := range strings.SplitSeq(list, ",") {
		f, err := nemesis.Named(name)
		if err != nil {
			return nil, err
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// all does every run, each in a process of its own, and shows the table.
func all(ctx context.Context, o options) error {
	if o.out == "" {
		dir, err := os.MkdirTemp("", "checker-")
		if err != nil {
			return err
		}
		o.out = dir
	}
	out, err := filepath.Abs(o.out)
	if err != nil {
		return err
	}
	o.out = out
	programs := filepath.Join(out, "programs")
	if err := os.MkdirAll(programs, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(programs)
	if err := errors.Join(build(ctx, programs), app.BuildGo(programs)); err != nil {
		return err
	}
	o.clock = sync.OnceValue(func() error { return buildClock(ctx, programs) })
	if slices.ContainsFunc(o.faults, func(f nemesis.Fault) bool { return f.Clock }) {
		var building sync.WaitGroup
		building.Go(func() { _ = o.clock() }) // beside the first runs; whose run needs it hears of an error
		defer building.Wait()
	}
	results, err := schedule(ctx, o, jobs(o, programs))
	if err != nil {
		return err
	}
	return report(o, results)
}

// build makes sidway as make build does.
func build(ctx context.Context, dir string) error { return goBuild(ctx, filepath.Join(dir, sidway)) }

// buildClock makes it once more, with a clock that can be set. All of the standard library is made anew for that, so it takes a while.
func buildClock(ctx context.Context, dir string) error {
	overlay, err := clock.Overlay(dir)
	if err != nil {
		return err
	}
	return goBuild(ctx, filepath.Join(dir, sidwayClock), "-pgo=off", "-overlay", overlay)
}

func goBuild(ctx context.Context, path string, args ...string) error {
	args = append(append([]string{"build", "-o", path}, args...), "github.com/sidway/sidway/cmd/sidway")
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it ends its compilers
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build sidway: %w\n%s", err, out)
	}
	return nil
}

const sidwayClock = "sidway-clock"

// report prints the table and what was wrong, and is an error where something was.
func report(o options, results []table.Result) error {
	var rows []table.Row
	for _, f := range o.faults {
		rows = append(rows, table.Row{Fault: f.Name, Asks: f.Asks})
	}
	if err := table.Write(os.Stdout, rows, results, o.through); err != nil {
		return err
	}
	wrong := 0
	for _, r := range results {
		if r.Sound() {
			continue
		}
		wrong += cmp.Compare(r.Through, haproxy) & 1 // the rival is shown, and not judged
		fmt.Printf("\n%s through %s, seed %d: histories and logs are in %s\n", r.Fault, r.Through, r.Seed, r.Dir)
		for _, line := range append([]string{r.Error, r.Verdict.String()}, append(r.Flaws, r.Figures...)...) {
			if line != "" {
				fmt.Println(strings.TrimRight(line, "\n"))
			}
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d runs did not come out as is asked for", wrong)
	}
	return nil
}
