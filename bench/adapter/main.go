// Command adapter compares what a cluster of two Socket.IO servers spends on broadcasts: Go with our adapter, Node with
// its own. Each server has its clients on WebSocket; one server broadcasts; the command checks that every client
// receives everything in order and reports the servers' processor time. The two take turns, since a machine has moods.
//
//	go run ./bench/adapter [-rounds 10] [-clients 200] [-broadcasts 200] [-kind pubsub]
//
// It needs redis-server, node and the packages of package.json.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// plan is what the flags say.
type plan struct {
	rounds, clients, broadcasts int
	kind                        string
}

// round is the outcome of one run.
type round struct {
	cpu  time.Duration // of both servers
	wall time.Duration // from the first emit to the last arrival
}

func main() {
	var p plan
	flag.IntVar(&p.rounds, "rounds", 10, "rounds of each")
	flag.IntVar(&p.clients, "clients", 200, "clients of each server")
	flag.IntVar(&p.broadcasts, "broadcasts", 200, "broadcasts of a round")
	flag.StringVar(&p.kind, "kind", "pubsub", "pubsub, sharded or streams")
	flag.Parse()
	if err := run(p); err != nil {
		log.Fatal(err)
	}
}

func run(p plan) error {
	dir, err := os.MkdirTemp("", "bench-adapter")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	node := filepath.Join(dir, "gonode")
	if out, err := exec.Command("go", "-C", "adapter", "build", "-o", node, "./internal/gonode").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	port, stop, err := startRedis(dir)
	if err != nil {
		return err
	}
	defer stop()
	commands := map[string][]string{"go": {node}, "node": {"node", "adapter/testdata/server.mjs"}}
	results := map[string][]round{}
	for i := range p.rounds {
		for _, name := range []string{"go", "node"} {
			prefix := fmt.Sprintf("%s-%d", name, i)
			args := append(slices.Clone(commands[name]), p.kind, strconv.Itoa(port), prefix, "{}")
			r, err := measure(p, args)
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", name, i+1, err)
			}
			results[name] = append(results[name], r)
		}
	}
	report(p, results)
	return nil
}

func startRedis(dir string) (port int, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	port = ln.Addr().(*net.TCPAddr).Port
	if err := ln.Close(); err != nil {
		return 0, nil, err
	}
	cmd := exec.Command("redis-server", "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "")
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	for range 100 {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			return port, stop, c.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	return 0, nil, fmt.Errorf("redis-server does not start")
}

// measure runs one round on fresh servers, after one that warms them up.
func measure(p plan, args []string) (round, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var servers []*server
	for range 2 {
		s, err := startServer(args)
		if err != nil {
			return round{}, err
		}
		defer s.stop()
		servers = append(servers, s)
	}
	audience, err := gather(ctx, servers, p)
	if err != nil {
		return round{}, err
	}
	defer audience.close()
	if err := audience.hear(ctx, servers[0], "warm"); err != nil {
		return round{}, err
	}
	before := servers[0].cpu() + servers[1].cpu()
	began := time.Now()
	if err := audience.hear(ctx, servers[0], "told"); err != nil {
		return round{}, err
	}
	return round{servers[0].cpu() + servers[1].cpu() - before, time.Since(began)}, nil
}

func report(p plan, results map[string][]round) {
	fmt.Printf("%d broadcasts to %d clients on each of two servers, %s, %d rounds each; everything arrived, in order\n\n",
		p.broadcasts, p.clients, p.kind, p.rounds)
	fmt.Printf("| servers | CPU of both, median (min-max) | until the last arrival, median (min-max) |\n|---|---|---|\n")
	medians := map[string]time.Duration{}
	for _, name := range []string{"go", "node"} {
		var cpu, wall []time.Duration
		for _, r := range results[name] {
			cpu, wall = append(cpu, r.cpu), append(wall, r.wall)
		}
		slices.Sort(cpu)
		slices.Sort(wall)
		medians[name] = cpu[len(cpu)/2]
		fmt.Printf("| %s | %s | %s |\n", name, spread(cpu), spread(wall))
	}
	fmt.Printf("\nGo / Node, CPU: %.2f\n", float64(medians["go"])/float64(medians["node"]))
}

func spread(d []time.Duration) string {
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	return fmt.Sprintf("%s ms (%s-%s)", ms(d[len(d)/2]), ms(d[0]), ms(d[len(d)-1]))
}
