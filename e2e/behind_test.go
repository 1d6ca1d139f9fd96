package e2e_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// startHAProxy starts HAProxy with this configuration and returns when it listens on address.
func startHAProxy(t *testing.T, address, config string) *process {
	t.Helper()
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, command{name: "haproxy", argv: []string{"haproxy", "-db", "-f", file}})
	p.listens(t, address)
	return p
}

// listens waits until somebody listens on address.
func (p *process) listens(t *testing.T, address string) {
	t.Helper()
	eventually(t, p.name+" listens", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("%s ended with %v", p.name, p.cmd.ProcessState)
		default:
		}
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// A replica that stops with the default notice loses nobody behind an HAProxy whose checks have their default pace, which
// neither retries elsewhere nor tells us what it believes.
func TestDefaultNoticeIsEnoughForHAProxysDefaults(t *testing.T) {
	redis, nodes := affinitytest.StartRedis(t), startNodes(t, pings{interval: 2 * time.Second, timeout: 10 * time.Second}, node48, node48)
	address := freeAddress(t)
	config := fmt.Sprintf(`
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend clients
	bind %s
	default_backend replicas
backend replicas
	option httpchk GET /readyz
`, address)
	var replicas []*replica
	for i := range 2 {
		r := startReplica(t, redis.URL(), nodes)
		r.kill()
		r.reconfigure(t, "notice: 1s, ", "")
		r.run(t)
		config += fmt.Sprintf("\tserver r%d %s check port %s\n", i, r.listen, portOf(r.admin))
		replicas = append(replicas, r)
	}
	startHAProxy(t, address, config)
	driver := startClients(t, plan{URL: "http://" + address, Library: 4, Window: 2, Modes: map[string]int{"polling": 12}})
	driver.connect(t)
	driver.begin(t, pace)
	driver.sent(t, 200)

	replicas[0].signal(t, syscall.SIGTERM)
	if code := replicas[0].exit(t); code != 0 {
		t.Errorf("the replica ended with %d", code)
	}
	driver.sent(t, 200)
	driver.finish(t).flaws(statsOf(t, nodes)).check(t)
	driver.leave(t)
}
