// Scaling measures what replicas that share counts of sessions and drain marks cost Redis: real Boards of package control, as many as
// there would be replicas, on a real redis-server.
//
//	go run ./bench/scaling            the table of docs/scaling.md, in about two minutes
//	go run ./bench/scaling -seconds 3
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/control"
)

func main() {
	seconds := flag.Int("seconds", 10, "how long each row is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, time.Duration(*seconds)*time.Second); err != nil {
		fmt.Fprintln(os.Stderr, "scaling:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, long time.Duration) error {
	address, end, err := startRedis(ctx)
	if err != nil {
		return err
	}
	defer end()
	fmt.Println("| replicas | nodes | drained | operations/s | from replicas, kB/s | to replicas, kB/s | CPU of Redis, % of a core |")
	fmt.Println("|--:|--:|--:|--:|--:|--:|--:|")
	for _, replicas := range []int{1, 3, 10, 50} {
		for _, nodes := range []int{3, 20, 200} {
			for _, drained := range []int{0, nodes / 10} {
				if drained == 0 && nodes > 3 && replicas < 50 { // the marks cost little, so most rows are with them
					continue
				}
				if err := (site{address, replicas, nodes, drained}).measure(ctx, long); err != nil {
					return err
				}
				if nodes == 3 {
					break
				}
			}
		}
	}
	return nil
}

// startRedis starts a redis-server on a free port.
func startRedis(ctx context.Context) (address string, end func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	l.Close()
	server := exec.CommandContext(ctx, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err := server.Start(); err != nil {
		return "", nil, err
	}
	end = func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}
	for range 100 {
		if conn, err := net.Dial("tcp", address); err == nil {
			return address, end, conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	end()
	return "", nil, errors.New("redis-server does not answer")
}

// site is replicas that share one Redis.
type site struct {
	address                  string
	replicas, nodes, drained int
}

// measure prints one row.
func (s site) measure(ctx context.Context, long time.Duration) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var work errgroup.Group
	marks, began := s.drained, time.Now().UTC()
	for range s.replicas {
		client, err := affinity.Open("redis://" + s.address)
		if err != nil {
			return err
		}
		defer client.Close()
		b := control.NewBoard(slog.New(slog.DiscardHandler))
		b.Self = func() control.Self {
			return control.Self{Name: "sidway-7f9c4d-x2x9k/0.0.0.0:8080", Version: "v1.2.3", Started: began, Connections: 12_345, Limit: 20_000, Tunnels: 9876, Sessions: 12_345}
		}
		b.Use(client, "sidway:")
		n := control.NewNodes(s.cluster(), func() {})
		for i, node := range n.Cluster.Nodes() {
			for range 1000 + i { // so that counts have the digits that they would have
				n.Cluster.Join(node)
				node.Acquire()
			}
		}
		b.Add(n)
		work.Go(func() error { return b.Run(ctx, func(*cluster.Node, int, cluster.Removal) int { return 0 }) })
		for i := range marks { // one replica is told, all obey
			if err := b.Drain(ctx, "chat", "node-"+strconv.Itoa(i), 0); err != nil {
				return err
			}
		}
		marks = 0
	}
	looker := redis.NewClient(&redis.Options{Addr: s.address})
	defer looker.Close()
	time.Sleep(2 * time.Second) // until all have heard of all
	before, err := look(ctx, looker)
	if err != nil {
		return err
	}
	time.Sleep(long)
	after, err := look(ctx, looker)
	if err != nil {
		return err
	}
	per := func(name string) float64 { return (after[name] - before[name]) / long.Seconds() }
	cpu := 100 * (per("used_cpu_user") + per("used_cpu_sys"))
	fmt.Printf("| %d | %d | %d | %.0f | %.0f | %.0f | %.1f |\n", s.replicas, s.nodes, s.drained, per("total_commands_processed"),
		per("total_net_input_bytes")/1000, per("total_net_output_bytes")/1000, cpu)
	stop()
	err = work.Wait()
	return errors.Join(err, looker.FlushAll(context.Background()).Err())
}

func (s site) cluster() config.Cluster {
	c := config.Cluster{Name: "chat", Path: "/socket.io/", Balance: config.LeastSessions}
	for i := range s.nodes {
		c.Nodes = append(c.Nodes, config.Node{Name: "node-" + strconv.Itoa(i), URL: fmt.Sprintf("http://10.0.%d.%d:3000", i/250, i%250), Weight: 1})
	}
	return c
}

// look reads what Redis has counted so far.
func look(ctx context.Context, c *redis.Client) (map[string]float64, error) {
	text, err := c.Info(ctx, "stats", "cpu").Result()
	found := map[string]float64{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			found[name] = n
		}
	}
	return found, err
}
