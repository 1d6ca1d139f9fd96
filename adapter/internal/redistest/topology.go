package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// StartReplica starts a server that copies master, and returns when it has done so.
func StartReplica(t testing.TB, master *Server) *Server {
	t.Helper()
	s := Start(t, "--replicaof", "127.0.0.1", strconv.Itoa(master.port))
	Eventually(t, "a replica in step", func() bool {
		return strings.Contains(s.Do("INFO", "replication"), "master_link_status:up")
	})
	return s
}

// StartSentinels starts three Sentinels that watch master under name, and returns when they know each other and one
// replica.
func StartSentinels(t testing.TB, master *Server, name string) []*Server {
	t.Helper()
	all := make([]*Server, 3)
	for i := range all {
		all[i] = launch(t, func(s *Server) []string {
			file := filepath.Join(s.dir, "sentinel.conf")
			text := fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor %s 127.0.0.1 %d 2\n", s.port, name, master.port)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{file, "--sentinel"}
		})
	}
	for _, s := range all {
		Eventually(t, "Sentinels that know each other", func() bool {
			info := s.Do("INFO", "sentinel")
			return strings.Contains(info, "slaves=1,sentinels=3")
		})
	}
	return all
}

// StartCluster starts a Redis Cluster of three masters that share the slots, without replicas.
func StartCluster(t testing.TB) []*Server {
	t.Helper()
	const slots = 16384
	all := make([]*Server, 3)
	for i := range all {
		all[i] = Start(t, "--cluster-enabled", "yes")
		all[i].Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		all[i].Do("CLUSTER", "ADDSLOTSRANGE", slots*i/len(all), slots*(i+1)/len(all)-1)
	}
	for _, s := range all[1:] {
		all[0].Do("CLUSTER", "MEET", "127.0.0.1", s.port)
	}
	for _, s := range all {
		Eventually(t, "a Redis Cluster in one mind", func() bool {
			info := s.Do("CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_assigned:16384") &&
				strings.Contains(info, "cluster_known_nodes:3")
		})
	}
	return all
}

// Addrs returns the servers' addresses.
func Addrs(servers []*Server) []string {
	addrs := make([]string, len(servers))
	for i, s := range servers {
		addrs[i] = s.Addr()
	}
	return addrs
}
