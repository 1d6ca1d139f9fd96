package affinitytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// StartRedisTLS starts a redis-server that speaks TLS only, with a certificate of its own for 127.0.0.1, and returns
// it with the file that holds the certificate. Client and Do of that server do not work.
func StartRedisTLS(t testing.TB, args ...string) (r *Redis, certificate string) {
	t.Helper()
	cert, key := selfSigned(t)
	args = append([]string{
		"--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no",
	}, args...)
	return launch(&Redis{t: t, args: args, secure: true, command: serverCommand}), cert
}

// StartReplica starts a redis-server that copies master, and returns when it has done so.
func StartReplica(t testing.TB, master *Redis, args ...string) *Redis {
	t.Helper()
	r := StartRedis(t, append([]string{"--replicaof", "127.0.0.1", strconv.Itoa(master.Port())}, args...)...)
	Eventually(t, "a replica in step", func() bool {
		return strings.Contains(r.Do("INFO", "replication"), "master_link_status:up")
	})
	return r
}

// StartSentinels starts n Sentinels that watch master under name and that take a silence of half a second for its
// death. A majority of them decides. It returns when they know each other and one replica.
func StartSentinels(t testing.TB, master *Redis, name string, n int) []*Redis {
	t.Helper()
	all := make([]*Redis, n)
	for i := range all {
		all[i] = launch(&Redis{t: t, command: func(r *Redis) []string {
			return []string{sentinelConfig(r, master, name, n/2+1), "--sentinel"}
		}})
	}
	for _, s := range all {
		Eventually(t, "Sentinels that know each other", func() bool {
			m := s.Do("SENTINEL", "MASTER", name)
			return strings.Contains(m, "num-other-sentinels "+strconv.Itoa(n-1)) && strings.Contains(m, "num-slaves 1")
		})
	}
	return all
}

func sentinelConfig(r, master *Redis, name string, quorum int) string {
	file := filepath.Join(r.dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %s 127.0.0.1 %d %d\n"+
		"sentinel down-after-milliseconds %[3]s 500\nsentinel failover-timeout %[3]s 2000\n",
		r.port, r.dir, name, master.Port(), quorum)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return file
}

// StartCluster starts a Redis Cluster of n masters that share the slots, without replicas.
func StartCluster(t testing.TB, n int) []*Redis {
	t.Helper()
	nodes := make([]*Redis, n)
	for i := range nodes {
		nodes[i] = StartRedis(t, "--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "2000")
		nodes[i].Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		nodes[i].Do("CLUSTER", "ADDSLOTSRANGE", slots*i/n, slots*(i+1)/n-1)
	}
	for _, node := range nodes[1:] {
		nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", node.Port())
	}
	for _, node := range nodes {
		Eventually(t, "a Redis Cluster in one mind", func() bool {
			info := node.Do("CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") &&
				strings.Contains(info, "cluster_slots_assigned:"+strconv.Itoa(slots)) &&
				strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(n))
		})
	}
	return nodes
}

const slots = 16384

// Addrs joins the addresses of servers with commas, as affinity.Open reads them.
func Addrs(servers []*Redis) string {
	addrs := make([]string, len(servers))
	for i, s := range servers {
		addrs[i] = s.Addr()
	}
	return strings.Join(addrs, ",")
}

// selfSigned writes a key and its certificate for 127.0.0.1.
func selfSigned(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sidway test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}
