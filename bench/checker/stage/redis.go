//go:build linux

package stage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// How the replicas' Redis is made up.
const (
	Single   = "single"   // one server
	Sentinel = "sentinel" // a master with a replica, and three Sentinels
	Cluster  = "cluster"  // three masters with the slots, and a fourth without any
)

const (
	redisPort    = 6379
	sentinelPort = 26379
	master       = "sidway" // as the Sentinels call it
)

// A Redis is what the replicas keep their bindings in, on hosts of its own.
type Redis struct {
	Servers   []*Process // the first is the master, or the only one
	Sentinels []*Process
	kind      string
}

// URL is how replicas are told of it.
func (r *Redis) URL() string {
	addrs := func(list []*Process) string {
		var all []string
		for _, p := range list {
			all = append(all, p.Addr())
		}
		return strings.Join(all, ",")
	}
	switch r.kind {
	case Sentinel:
		return "redis+sentinel://" + addrs(r.Sentinels) + "/" + master + "/0"
	case Cluster:
		return "redis+cluster://" + addrs(r.Servers)
	}
	return "redis://" + addrs(r.Servers) + "/0"
}

func (s *Stage) startRedis(ctx context.Context, kind string) error {
	s.Redis = &Redis{kind: kind}
	servers, args := 1, []string(nil)
	switch kind {
	case Sentinel:
		servers = 2
	case Cluster:
		servers, args = 4, []string{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"}
	}
	for i := range servers {
		if kind == Sentinel && i > 0 {
			args = []string{"--replicaof", s.Redis.Servers[0].Host.Addr.String(), strconv.Itoa(redisPort)}
		}
		p, err := s.redisServer(ctx, fmt.Sprintf("redis%d", i+1), args)
		if err != nil {
			return err
		}
		s.Redis.Servers = append(s.Redis.Servers, p)
	}
	switch kind {
	case Sentinel:
		return s.startSentinels(ctx)
	case Cluster:
		return s.joinCluster(ctx)
	}
	return nil
}

func (s *Stage) redisServer(ctx context.Context, name string, args []string) (*Process, error) {
	p, err := s.process(name, redisPort)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(s.plan.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("stage: %w", err)
	}
	p.argv = append([]string{
		"redis-server", "--port", strconv.Itoa(redisPort), "--protected-mode", "no", "--dir", dir, "--save", "", "--appendonly", "no",
	}, args...)
	return p, p.Start(ctx)
}

// startSentinels starts three, on the hosts of the servers and of the clients; two of them decide that a master is dead.
func (s *Stage) startSentinels(ctx context.Context) error {
	first := s.Redis.Servers[0]
	for i := range 3 {
		p, err := s.process(fmt.Sprintf("sentinel%d", i+1), sentinelPort)
		if err != nil {
			return err
		}
		dir := filepath.Join(s.plan.Dir, p.Name)
		file := filepath.Join(dir, "sentinel.conf")
		text := fmt.Sprintf("port %d\nprotected-mode no\ndir %s\nsentinel monitor %s %s %d 2\n"+
			"sentinel down-after-milliseconds %[3]s 1000\nsentinel failover-timeout %[3]s 5000\n",
			sentinelPort, dir, master, first.Host.Addr, redisPort)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("stage: %w", err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return fmt.Errorf("stage: %w", err)
		}
		p.argv = []string{"redis-server", file, "--sentinel"}
		if err := p.Start(ctx); err != nil {
			return err
		}
		s.Redis.Sentinels = append(s.Redis.Sentinels, p)
	}
	for _, p := range s.Redis.Sentinels {
		if err := p.await(ctx, "the Sentinels know each other and the replica", func() bool {
			m := p.Do(ctx, "SENTINEL", "MASTER", master)
			return strings.Contains(m, "num-other-sentinels:2") && strings.Contains(m, "num-slaves:1")
		}); err != nil {
			return err
		}
	}
	return nil
}

// slots is how many a Redis Cluster has.
const slots = 16384

// joinCluster shares the slots among the first three servers; the fourth is there to get some.
func (s *Stage) joinCluster(ctx context.Context) error {
	servers := s.Redis.Servers
	for i, p := range servers {
		p.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i < 3 {
			p.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", slots*i/3, slots*(i+1)/3-1)
		}
		if i > 0 {
			servers[0].Do(ctx, "CLUSTER", "MEET", p.Host.Addr.String(), redisPort)
		}
	}
	for _, p := range servers {
		if err := p.await(ctx, "the Redis Cluster is of one mind", func() bool {
			info := p.Do(ctx, "CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_assigned:"+strconv.Itoa(slots)) &&
				strings.Contains(info, "cluster_known_nodes:4")
		}); err != nil {
			return err
		}
	}
	return nil
}

// Reshard moves slots of the first server of a Redis Cluster to the last, as an operator does.
func (r *Redis) Reshard(ctx context.Context, slots int) error {
	from, to := r.Servers[0], r.Servers[len(r.Servers)-1]
	out, err := exec.CommandContext(ctx, "redis-cli", "--cluster", "reshard", from.Addr(),
		"--cluster-from", from.Do(ctx, "CLUSTER", "MYID"), "--cluster-to", to.Do(ctx, "CLUSTER", "MYID"),
		"--cluster-slots", strconv.Itoa(slots), "--cluster-yes").CombinedOutput()
	if err != nil {
		return fmt.Errorf("stage: resharding: %w\n%s", err, out[max(0, len(out)-2000):])
	}
	return nil
}

// Do sends a command to a Redis server and returns what it says, or the error.
func (p *Process) Do(ctx context.Context, args ...any) string {
	c := redis.NewClient(&redis.Options{Addr: p.Addr(), Protocol: 2, DisableIdentity: true, MaxRetries: -1, PoolSize: 1})
	defer c.Close()
	v, err := c.Do(ctx, args...).Result()
	if err != nil {
		return err.Error()
	}
	if list, is := v.([]any); is { // SENTINEL MASTER: names and values in turn
		var b strings.Builder
		for i := 0; i+1 < len(list); i += 2 {
			fmt.Fprintf(&b, "%v:%v\n", list[i], list[i+1])
		}
		return b.String()
	}
	return fmt.Sprint(v)
}
