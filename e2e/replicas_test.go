package e2e_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// replica is a sidway process: the real binary, started as its users start it.
type replica struct {
	*process
	binary string
	config string
	listen string
	admin  string
}

// startReplica starts sidway before the nodes, with these further settings of their cluster, and returns when it says that it
// is ready.
func startReplica(t *testing.T, redisURL string, nodes []*node, settings ...string) *replica {
	t.Helper()
	r := &replica{binary: binaryOf(t, sidwayBinary), listen: freeAddress(t), admin: freeAddress(t)}
	r.config = filepath.Join(t.TempDir(), "sidway.yaml")
	var b strings.Builder
	fmt.Fprintf(&b, "%sadmin: {listen: %s}\naffinity: {redis: %s}\n", listenLines(t, r.listen), r.admin, redisURL)
	// On a crowded machine the default of 5 s may go by before a test has brought back what a request is held for.
	fmt.Fprintf(&b, "limits: {queue_time: 20s}\nshutdown: {notice: 1s, deadline: 5s, waves: 4}\n")
	fmt.Fprintf(&b, "clusters:\n  - name: chat\n")
	for _, s := range settings {
		fmt.Fprintf(&b, "    %s\n", s)
	}
	fmt.Fprintf(&b, "    nodes:\n")
	for _, n := range nodes {
		fmt.Fprintf(&b, "      - {name: %s, url: http://%s}\n", n.name, n.address())
	}
	if err := os.WriteFile(r.config, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run(t)
	return r
}

// run starts the process, again after it has ended, on the same addresses.
func (r *replica) run(t *testing.T) {
	t.Helper()
	r.process = start(t, command{
		name: "sidway " + r.listen,
		argv: []string{r.binary, "serve", "--config", r.config},
		env:  []string{"GORACE=halt_on_error=1"},
	})
	eventually(t, r.name+" is ready", func() bool {
		select {
		case <-r.ended:
			t.Fatalf("%s ended with %v", r.name, r.cmd.ProcessState)
		default:
		}
		return r.ready()
	})
}

// reconfigure replaces a text in the settings that it is run with next.
func (r *replica) reconfigure(t *testing.T, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(r.config)
	if err != nil || !strings.Contains(string(text), old) {
		t.Fatalf("no %q in %s: %v", old, r.config, err)
	}
	if err := os.WriteFile(r.config, []byte(strings.Replace(string(text), old, replacement, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (r *replica) ready() bool {
	status, _ := r.adminPage("/readyz")
	return status == http.StatusOK
}

// adminPage reads a page of the admin address; the status is 0 where nobody answers.
func (r *replica) adminPage(path string) (int, string) {
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	a, err := (&http.Client{Transport: transport}).Get("http://" + r.admin + path)
	if err != nil {
		return 0, ""
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		return 0, ""
	}
	return a.StatusCode, string(body)
}

// metric returns the value of one series of /metrics, 0 where there is none.
func (r *replica) metric(t *testing.T, series string) int {
	t.Helper()
	status, page := r.adminPage("/metrics")
	if status != http.StatusOK {
		t.Fatalf("%s: /metrics: status %d", r.name, status)
	}
	for line := range strings.Lines(page) {
		if value, found := strings.CutPrefix(line, series+" "); found {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatalf("%s: %q: %v", r.name, line, err)
			}
			return int(n)
		}
	}
	return 0
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// freeAddress finds a loopback port below those that the kernel gives to outgoing connections, of which the tests make
// thousands between this look and the next bind.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 200 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000))
		if ln, err := net.Listen("tcp", address); err == nil {
			_ = ln.Close()
			return address
		}
	}
	t.Fatal("no free port between 20000 and 30000")
	return ""
}
