package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// startHAProxy and startNginx start a program with a configuration, and return when it listens on address.
func startHAProxy(t *testing.T, address, config string) {
	t.Helper()
	start(t, command{name: "haproxy", argv: []string{"haproxy", "-db", "-f", writeFile(t, "haproxy.cfg", config)}}).listens(t, address)
}

// config is what stands inside http.
func startNginx(t *testing.T, address, config string) {
	t.Helper()
	http := "http {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		http += kind + "_temp_path " + kind + ";\n"
	}
	runNginx(t, address, http+config+"}\n")
}

// runNginx takes what stands beside events.
func runNginx(t *testing.T, address, config string) {
	t.Helper()
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // the worker writes to the test's own directory
	}
	file := writeFile(t, "nginx.conf", user+"daemon off; master_process off; pid nginx.pid; error_log stderr;\n"+config+"events {}\n")
	start(t, command{name: "nginx", argv: []string{"nginx", "-p", filepath.Dir(file), "-e", "stderr", "-c", file}}).listens(t, address)
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
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

// guide is docs/behind.md with the addresses of this test in place of its own.
type guide struct {
	text    string
	address string // of the balancer
	here    *strings.Replacer
}

// readGuide gives each host a loopback address of its own, so that the ports may be the same on both replicas, as they are there.
func readGuide(t *testing.T, redisURL string, nodes []*node) *guide {
	t.Helper()
	text, err := os.ReadFile("../docs/behind.md")
	if err != nil {
		t.Fatal(err)
	}
	g := &guide{text: string(text), address: freeAddress(t)}
	g.here = strings.NewReplacer(
		"bind :80\n", "bind "+g.address+"\n", "listen 80;", "listen "+g.address+";",
		"redis://10.0.0.5:6379/0", redisURL, "10.0.0.11", "127.0.0.1",
		"10.0.0.31:3001", nodes[0].address(), "10.0.0.32:3001", nodes[1].address(),
		"10.0.0.", fmt.Sprintf("127.%d.%d.", 1+rand.IntN(250), rand.IntN(250)),
		":8080", ":"+portOf(freeAddress(t)), "9090", portOf(freeAddress(t)),
	)
	return g
}

// snippet returns the block of a language.
func (g *guide) snippet(t *testing.T, language string) string {
	t.Helper()
	return g.snippetOf(t, "", language)
}

// snippetOf returns the first block of a language behind a heading.
func (g *guide) snippetOf(t *testing.T, heading, language string) string {
	t.Helper()
	_, section, _ := strings.Cut(g.text, heading)
	_, after, _ := strings.Cut(section, "```"+language+"\n")
	text, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatalf("docs/behind.md has no block of %s", language)
	}
	return g.here.Replace(text)
}

var listens = regexp.MustCompile(`listen: "?([0-9.:]+)`)

// startReplicas starts both replicas, with these settings too.
func (g *guide) startReplicas(t *testing.T, settings string) []*replica {
	t.Helper()
	var both []*replica
	for _, host := range []string{".21:", ".22:"} {
		text := strings.ReplaceAll(g.snippet(t, "yaml"), ".21:", host) + settings
		at := listens.FindAllStringSubmatch(text, 2)
		r := &replica{binary: binaryOf(t, sidwayBinary), listen: at[0][1], admin: at[1][1], config: writeFile(t, "sidway.yaml", text)}
		r.run(t)
		both = append(both, r)
	}
	return both
}

var timeLimit = regexp.MustCompile(`(?m)^\s*(timeout (?:client|server|tunnel)|proxy_read_timeout|proxy_send_timeout) ([0-9]+)s`)

// checkTimeLimits demands that a poll and a tunnel may be silent for as long as the protocol lets them.
func checkTimeLimits(t *testing.T, config string, want int) {
	t.Helper()
	limits := timeLimit.FindAllStringSubmatch(config, -1)
	for _, l := range limits {
		if seconds, _ := strconv.Atoi(l[2]); seconds <= 25+20 {
			t.Errorf("%s: %d s is no longer than pingInterval + pingTimeout", l[1], seconds)
		}
	}
	if len(limits) != want {
		t.Errorf("there are %d of %d time limits: %v", len(limits), want, limits)
	}
}

// The configurations of docs/behind.md carry sessions of each kind, and both replicas may be restarted one after the other.
func TestConfigurationsOfTheGuide(t *testing.T) {
	for _, front := range []struct {
		language string
		limits   int
		run      func(t *testing.T, address, config string)
		settings string
		checks   bool // it sends a replica that was started again nothing before its checks are good
	}{
		{"haproxy", 3, startHAProxy, "shutdown: {deadline: 5s}\n", true},
		{"nginx", 2, startNginx, "shutdown: {notice: 0s, deadline: 5s}\n", false},
	} {
		t.Run(front.language, func(t *testing.T) {
			redis, nodes := affinitytest.StartRedis(t), startNodes(t, pings{interval: 2 * time.Second, timeout: 10 * time.Second}, node48, node48)
			g := readGuide(t, redis.URL(), nodes)
			checkTimeLimits(t, g.snippet(t, front.language), front.limits)
			replicas := g.startReplicas(t, front.settings)
			front.run(t, g.address, g.snippet(t, front.language))

			driver := startClients(t, plan{URL: "http://" + g.address, Library: 4, Window: 2, Modes: map[string]int{"polling": 10, "upgrade": 10, "websocket": 4}})
			driver.exchange(t, 20).flaws(statsOf(t, nodes)).check(t)
			driver.begin(t, pace)
			for _, r := range replicas {
				r.signal(t, syscall.SIGTERM)
				if code := r.exit(t); code != 0 {
					t.Errorf("%s ended with %d", r.name, code)
				}
				r.run(t)
				eventually(t, r.name+" serves again", func() bool {
					return !front.checks || r.metric(t, `sidway_requests_total{cluster="chat",kind="poll"}`) > 0
				})
			}
			driver.sent(t, 200)
			checkRestarted(t, driver.finish(t), nodes)
			for _, r := range replicas {
				if _, page := r.adminPage("/metrics"); strings.Contains(page, "\nsidway_setup_faults_total{") {
					t.Errorf("%s found faults in the setup:\n%s", r.name, r.said)
				}
			}
			driver.leave(t)
		})
	}
}

// checkRestarted demands that polling sessions have not noticed, and that the others were cut by each replica once at most and
// are WebSockets again.
func checkRestarted(t *testing.T, r report, nodes []*node) {
	t.Helper()
	r.messageFlaws(statsOf(t, nodes)).check(t)
	r.mode("polling").flaws(nil).check(t)
	for _, s := range r.Sessions {
		if s.Mode != "polling" && (s.Disconnects > 2 || s.ConnectErrors > 0 || s.Transport != "websocket") {
			t.Errorf("a session that its replica cut did not come back as it was: %+v", s)
		}
	}
}
