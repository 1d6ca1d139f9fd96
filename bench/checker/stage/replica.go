//go:build linux

package stage

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/bench/checker/stage/clock"
	"github.com/sidway/sidway/bench/rival"
)

//go:embed sidway.yaml.tmpl
var conf embed.FS

var sidwayConfig = template.Must(template.ParseFS(conf, "sidway.yaml.tmpl"))

const (
	frontPort = 8080
	adminPort = 9090
)

// A Replica is one running sidway, or one HAProxy in its place.
type Replica struct {
	*Process
	file  string // its configuration
	admin string // host:port of its admin address, or of HAProxy's statistics
}

func (s *Stage) startReplicas(ctx context.Context) error {
	for i := range s.plan.Replicas {
		p, err := s.process(fmt.Sprintf("r%d", i+1), frontPort)
		if err != nil {
			return err
		}
		s.Replicas = append(s.Replicas, &Replica{Process: p, admin: at(p.Host.Addr, adminPort), file: filepath.Join(s.plan.Dir, p.Name+".conf")})
	}
	for _, r := range s.Replicas { // when all their addresses are known, which HAProxy's peers need
		if err := s.configure(r); err != nil {
			return err
		}
		if err := r.Process.Start(ctx); err != nil {
			return err
		}
	}
	for _, r := range s.Replicas {
		if err := r.await(ctx, "it is ready", r.Ready); err != nil {
			return err
		}
	}
	return nil
}

// configure writes the replica's configuration.
func (s *Stage) configure(r *Replica) error {
	if s.plan.Sidway == "" {
		return s.configureHAProxy(r)
	}
	r.argv = []string{s.plan.Sidway, "serve", "--config", r.file}
	if s.plan.Clock != "" {
		r.env = []string{clock.Variable + "=" + s.plan.Clock}
	}
	var b bytes.Buffer
	err := sidwayConfig.Execute(&b, struct {
		Plan
		*Stage
		*Replica
		Admin, Token string
		Port         int
	}{s.plan, s, r, r.admin, adminToken, r.port})
	if err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	return os.WriteFile(r.file, b.Bytes(), 0o600)
}

func (s *Stage) configureHAProxy(r *Replica) error {
	p := rival.Sticky{Name: r.Name, Port: r.port, Admin: r.admin, Threads: 1}
	for _, n := range s.Nodes {
		p.Nodes = append(p.Nodes, n.Addr())
	}
	if s.Spare != nil {
		p.Spare = s.Spare.Addr()
	}
	for _, peer := range s.Replicas {
		p.Peers = append(p.Peers, rival.Peer{Name: peer.Name, Address: at(peer.Host.Addr, peerPort)})
	}
	r.argv = []string{"haproxy", "-W", "-db", "-f", r.file}
	return p.Write(r.file)
}

// peerPort is where HAProxies tell each other of their stick tables.
const peerPort = 10000

// AccessLog is the file of the replica's access log.
func (r *Replica) AccessLog() string { return strings.TrimSuffix(r.log, ".log") + ".access" }

// Start starts the replica and returns when it is ready.
func (r *Replica) Start(ctx context.Context) error {
	if err := r.Process.Start(ctx); err != nil {
		return err
	}
	return r.await(ctx, "it is ready", r.Ready)
}

// Worker is the id of the process that serves: HAProxy's first one is a master.
func (r *Replica) Worker() (int, error) {
	if r.argv[0] != "haproxy" {
		return r.Pid(), nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", r.Pid()))
	if err != nil {
		return 0, fmt.Errorf("stage: %w", err)
	}
	var pid int
	_, err = fmt.Sscan(string(text), &pid)
	return pid, err
}

// Descriptors sets how many files the replica may open from now on.
func (r *Replica) Descriptors(n int) error {
	pid, err := r.Worker()
	if err != nil {
		return err
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(n), Max: 20000}, nil); err != nil {
		return fmt.Errorf("stage: %s: %w", r.Name, err)
	}
	return nil
}

// Ready tells whether it says so itself. HAProxy serves at once, but tells its peers of sessions only after it has waited for
// what they have to tell.
func (r *Replica) Ready() bool {
	if r.argv[0] == "haproxy" {
		text, err := r.command("show peers")
		return err == nil && strings.Contains(text, "resync_timeout=<PAST>")
	}
	status, _ := r.Ask(context.Background(), http.MethodGet, "/readyz", "")
	return status == http.StatusOK
}

// Edit replaces a text in the replica's configuration.
func (r *Replica) Edit(old, replacement string) error {
	text, err := os.ReadFile(r.file)
	if err != nil || !bytes.Contains(text, []byte(old)) {
		return fmt.Errorf("stage: no %q in %s: %w", old, r.file, err)
	}
	return os.WriteFile(r.file, bytes.Replace(text, []byte(old), []byte(replacement), 1), 0o600)
}

// Ask asks sidway's admin address; the status is 0 where nobody answers.
func (r *Replica) Ask(ctx context.Context, method, path, body string) (int, string) {
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	q, err := http.NewRequestWithContext(ctx, method, "http://"+r.admin+path, strings.NewReader(body))
	if err != nil {
		return 0, ""
	}
	q.Header.Set("Authorization", "Bearer "+adminToken)
	transport := &http.Transport{DisableKeepAlives: true}
	a, err := (&http.Client{Transport: transport}).Do(q)
	if err != nil {
		return 0, ""
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return 0, ""
	}
	return a.StatusCode, string(text)
}

// adminToken lets the clients' host change things at the replicas.
const adminToken = "checker-checker-checker-checker"

// Metrics are what sidway tells of itself, all of one moment.
type Metrics string

// Metrics asks for them.
func (r *Replica) Metrics(ctx context.Context) Metrics {
	_, page := r.Ask(ctx, http.MethodGet, "/metrics", "")
	return Metrics(page)
}

// Sum sums the series whose name and labels begin so.
func (m Metrics) Sum(prefix string) float64 {
	sum := 0.0
	for line := range strings.Lines(string(m)) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		if f, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), 64); err == nil {
			sum += f
		}
	}
	return sum
}
