// Command demo is a chat that shows what sidway does: several chat nodes behind several replicas, in processes of their
// own, on one machine and by one command.
//
//	go run ./demo
//
// It prints an address. Behind it, each connection goes to the next of two replicas, which keep each session on its one
// of three nodes; the page has buttons to kill them. Redis is inside, unless --redis or REDIS_URL names one.
//
// With --node-only it is one chat node and nothing else, for docker-compose.yml.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/sidway/sidway/demo/launch"
	"github.com/sidway/sidway/demo/terminal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(2)
	}
}

// settings are the flags.
type settings struct {
	listen   string
	redis    string
	history  int
	nodes    int
	nodeJS   int
	replicas int

	nodeOnly    bool
	replicaOnly bool
	admin       string
	child       bool
	name        string
	replicaList list // name=host:port
	nodeList    list // name=http://host:port
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

// Set implements flag.Value.
func (l *list) Set(text string) error {
	*l = append(*l, text)
	return nil
}

const usage = `Usage: demo [flags]

Runs a chat on several nodes behind several sidway replicas, all on this machine, and prints its address.

  --listen address   the address for browsers (default 127.0.0.1:8080, or a free port where that is
                     taken; :8080 serves other machines too)
  --nodes n          chat nodes (default 3)
  --node-js n        how many of them are Node processes (default 0; needs node, and npm ci at the top)
  --replicas n       sidway replicas (default 2)
  --redis url        a Redis to use (default $REDIS_URL, else one inside this process)
  --history n        messages kept in a room (default 1000)

Only one chat node:

  --node-only        needs --redis and --listen
  --name name        of the node (default: this machine's)
  --replica name=host:port
                     a replica before it, so that the panel can name it; may be repeated
`

func parse(args []string, out io.Writer) (settings, error) {
	var s settings
	host, _ := os.Hostname()
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.SetOutput(io.Discard) // main says what is wrong
	f.StringVar(&s.listen, "listen", "", "")
	f.StringVar(&s.redis, "redis", os.Getenv("REDIS_URL"), "")
	f.IntVar(&s.history, "history", 0, "")
	f.IntVar(&s.nodes, "nodes", 3, "")
	f.IntVar(&s.nodeJS, "node-js", 0, "")
	f.IntVar(&s.replicas, "replicas", 2, "")
	f.BoolVar(&s.nodeOnly, "node-only", false, "")
	f.StringVar(&s.name, "name", host, "")
	f.Var(&s.replicaList, "replica", "")
	// What the launcher starts itself with.
	f.BoolVar(&s.replicaOnly, "replica-only", false, "")
	f.StringVar(&s.admin, "admin", "off", "")
	f.BoolVar(&s.child, "child", false, "")
	f.Var(&s.nodeList, "node", "")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		return s, err
	case err != nil:
		return s, fmt.Errorf("%w; demo --help tells what there is", err)
	case f.NArg() > 0:
		return s, fmt.Errorf("%q is not understood; demo --help tells what is", f.Arg(0))
	case s.history < 0:
		return s, errors.New("--history is a number of messages, and cannot be less than 0")
	}
	return s, nil
}

func run(ctx context.Context, args []string, out, errs io.Writer) error {
	s, err := parse(args, errs)
	if err != nil {
		return err
	}
	// Replicas tell of outages of Redis, so that the nodes beside them need not.
	log := slog.New(terminal.New(errs, terminal.Options{Silent: s.child && s.nodeOnly}))
	redis.SetLogger(redisLog{log})
	if s.nodeOnly || s.replicaOnly {
		log = log.With("process", s.name)
	}
	if s.child {
		var stop context.CancelFunc
		ctx, stop = withParent(ctx)
		defer stop()
	}
	switch {
	case s.replicaOnly:
		return runReplica(ctx, s, log)
	case s.nodeOnly:
		return runNode(ctx, s, log)
	}
	if s.redis != "" {
		if _, err := parseRedis(s.redis); err != nil {
			return err
		}
	}
	return launch.New(launch.Options{
		Listen: s.listen, Nodes: s.nodes, NodeJS: s.nodeJS, Replicas: s.replicas, Redis: s.redis, History: s.history,
		Out: out, Errors: errs, Log: log,
	}).Run(ctx)
}

// redisLog takes what the Redis client says of its connections. Nodes and replicas tell themselves when Redis goes and
// comes back.
type redisLog struct{ log *slog.Logger }

// Printf implements the client's logging interface.
func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "redis client: "+fmt.Sprintf(format, args...))
}

// withParent ends ctx when the parent is gone: it holds the other end of this process's standard input.
func withParent(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	return ctx, stop
}
