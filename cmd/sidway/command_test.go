package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

// none is an empty environment.
var none []string

// call runs the command without a process of its own.
func call(t *testing.T, env []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	status = command{env: env, stdout: &out, stderr: &errs}.run(t.Context(), args)
	return status, out.String(), errs.String()
}

// write puts a configuration into a file.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sidway.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCallsThatAreNotUnderstood(t *testing.T) {
	for _, tt := range []struct {
		args string
		want string // the first line on stderr
		help string // what the second line points to
	}{
		{"", "say what to do: serve, check, health, status, trace, move, drain, undrain, release, guard, reload, completion, man, version or help", ""},
		{"sevre", `unknown command sevre; did you mean serve?`, ""},
		{"frobnicate", `unknown command frobnicate; there are serve, check, health, status, trace, move, drain, undrain, release, guard, reload, completion, man, version, help`, ""},
		{"--config x", `unknown command --config; there are serve, check, health, status, trace, move, drain, undrain, release, guard, reload, completion, man, version, help`, ""},
		{"help sevre", `unknown topic sevre; did you mean serve?`, ""},
		{"version now", "version takes no arguments", ""},
		{"serve --confg x", `unknown flag --confg; did you mean --config?`, " serve"},
		{"serve -nodes=x", `unknown flag --nodes; did you mean --node?`, " serve"},
		{"serve --zzz", `unknown flag --zzz`, " serve"},
		{"serve --idle_time 5s", "unknown flag --idle_time; did you mean --limits.idle-time?", " serve"},
		{"serve --affinity.redis redis://h", "unknown flag --affinity.redis; did you mean --redis?", " serve"},
		{"serve --admin.listen :80", "unknown flag --admin.listen; did you mean --admin?", " serve"},
		{"health --affinity.redis redis://h", "unknown flag --affinity.redis; there are --admin, --config", " health"},
		{"serve --limits.idle-time", "--limits.idle-time needs a value, as --limits.idle-time 75s", " serve"},
		{"serve --node", "--node needs a value, as --node http://127.0.0.1:3001", " serve"},
		{"serve --node --listen :80", "--node needs a value, as --node http://127.0.0.1:3001", " serve"},
		{"serve --access-log false", `"false" stands alone; did you mean --access-log=false?`, " serve"},
		{"serve http://h:1", `"http://h:1" stands alone; did you mean --node http://h:1?`, " serve"},
		{"serve redis://h", `"redis://h" stands alone; did you mean --redis redis://h?`, " serve"},
		{"serve a.yaml", `"a.yaml" stands alone; did you mean --config a.yaml?`, " serve"},
		{"serve production", `"production" is one word too many`, " serve"},
		{"drain n1 n2", `"n2" is one word too many`, " drain"},
		{"serve --config a --node b", "give either --config or --node: the nodes stand in the file", " serve"},
		{"serve ---config a", "bad flag syntax: ---config", " serve"},
		{"check a.yaml", `"a.yaml" stands alone; did you mean --config a.yaml?`, " check"},
		{"check http://h:1", `"http://h:1" stands alone; did you mean --node http://h:1?`, " check"},
		{"check --config a --node b", "give either --config or --node: the nodes stand in the file", " check"},
		{"health http://h:1", `"http://h:1" stands alone; did you mean sidway health without it?`, " health"},
		{"health --node x", `unknown flag --node; there are --admin, --config`, " health"},
	} {
		status, stdout, stderr := call(t, none, strings.Fields(tt.args)...)
		if want := "sidway: " + tt.want + "\nSee: sidway help" + tt.help + "\n"; status != 2 || stdout != "" || stderr != want {
			t.Errorf("%s: got %d %s%s want %s", tt.args, status, stdout, stderr, want)
		}
	}
}

func TestHelpTellsEveryFlag(t *testing.T) {
	for args, words := range map[string][]string{
		"help":             {"sidway serve --node", "sidway check --config", "sidway health", "sidway version"},
		"--help":           {"sidway serve --node"},
		"help serve":       {"--config FILE", "--node URL", "--redis URL", "--listen ADDRESS", "--admin ADDRESS", "--access-log"},
		"serve -h":         {"--config FILE"},
		"serve --help":     {"--config FILE"},
		"check --help":     {"sidway check --config FILE"},
		"help check":       {"sidway check --config FILE"},
		"help health":      {"--config FILE", "--admin ADDRESS"},
		"health --help":    {"sidway health [--config FILE]"},
		"help settings":    {"SIDWAY_NODES", "limits.header_time"},
		"help environment": {"SIDWAY_LISTEN", "SIDWAY_REDIS"},
	} {
		status, stdout, stderr := call(t, none, strings.Fields(args)...)
		if status != 0 || stderr != "" {
			t.Errorf("%s: got %d %s", args, status, stderr)
		}
		for _, w := range words {
			if !strings.Contains(stdout, w) {
				t.Errorf("%s: %s is missing", args, w)
			}
		}
		for line := range strings.Lines(stdout) {
			if len([]rune(line)) > 121 {
				t.Errorf("%s: too long for a terminal: %s", args, line)
			}
		}
	}
}

func TestVersionTellsTheBuild(t *testing.T) {
	status, stdout, _ := call(t, none, "version")
	if status != 0 || !strings.HasPrefix(stdout, "sidway ") || !strings.Contains(stdout, "\ngo1.") {
		t.Errorf("got %d %s", status, stdout)
	}
}

func TestCheckSumsUpAGoodFile(t *testing.T) {
	file := write(t, `
affinity: {redis: redis://user:secret@127.0.0.1:6379/1, prefix: "chat:"}
access_log: true
trusted_proxies: [10.0.0.0/8, 192.0.2.7]
limits: {idle_time: 2m}
clusters:
  - name: chat
    host: [chat.example.com, "*.example.org"]
    keep_alive: false
    max_body: 2MB
    balance: hash
    hash_by: cookie:user
    health: {path: /healthz, interval: 1s}
    pace: {handshakes: 12000/m}
    release: {version: v2, share: 0.125}
    discover: {kubernetes: {service: chat}}
    request_headers: {set: {X-Key: secret}, remove: [X-Debug, X-Trace]}
    static: {/s/: {dir: .}, /assets/: {dir: /, max_age: 1h}}
    nodes:
      - {name: n1, url: http://127.0.0.1:3001, weight: 5, labels: {zone: a, version: v2}}
      - {name: n22, url: http://127.0.0.1:3002}
  - {name: game, path: /game, balance: round_robin, nodes: [{name: n1, url: http://127.0.0.1:3003}]}
`)
	env := []string{"SIDWAY_LISTEN=:81", "SIDWAY_ADMIN_TOKEN=secret", "SIDWAY_LIMITS_QUEUE=1"}
	status, stdout, stderr := call(t, env, "check", "--config", file, "--limits.queue", "7", "--limits.body-rate", "0", "--runtime.busy-loops=false")
	want := file + `: ok

listen                     :81
admin.listen               127.0.0.1:9090
admin.hosts                none
admin.pprof                false
admin.open_metrics         false
admin.token                set
affinity.redis             redis://127.0.0.1:6379/1
affinity.password          none
affinity.prefix            chat:
affinity.cache             1000000
affinity.unready_after     0s
access_log                 true
log.level                  info
log.format                 text
log.access                 none
log.access_format          text
trace.endpoint             none
trace.sample               1%
trusted_proxies            10.0.0.0/8, 192.0.2.7/32
tls.certificates           none
tls.min_version            1.2
tls.client_ca              none
tls.client_auth            none
tls.tickets                redis
tls.acme.domains           none
tls.acme.email             none
tls.acme.directory         https://acme-v02.api.letsencrypt.org/directory
tls.acme.ca                the system's
tls.acme.storage           none
tls.acme.challenges        http-01, tls-alpn-01
tls.acme.eab_kid           none
tls.acme.eab_hmac          none
tls.http2                  false
tls.hsts                   0s
limits.connections         0: what the limit of file descriptors allows
limits.header_time         5s
limits.body_time           10s
limits.body_rate           0: none
limits.idle_time           2m
limits.write_time          30s
limits.handshake_time      2.5s
limits.queue_time          5s
limits.queue               7
limits.unknown_sids        4000
limits.client_connections  0: no limit
limits.client_handshakes   0: no limit
limits.client_requests     0: no limit
limits.handshakes          0: no limit
limits.tunnel_rate         0: no limit
shutdown.notice            8s
shutdown.deadline          30s
shutdown.waves             10
runtime.busy_loops         false

cluster chat                   chat.example.com, *.example.org /socket.io/  hash
  hash_by                      cookie:user
  keep_alive                   false
  max_body                     2000000
  health.path                  /healthz
  health.status                200
  health.interval              1s
  health.timeout               1s
  health.rise                  2
  health.fall                  3
  health.handshake             false
  pace.handshakes              200/s
  release.version              v2
  release.share                12.5%
  discover.kubernetes.service  chat
  discover.interval            0s
  discover.tls                 false
  request_headers.set.X-Key    set
  request_headers.remove       X-Debug, X-Trace
  static./assets/              /, max_age 1h
  static./s/                   ., max_age 0s
  node n1                      http://127.0.0.1:3001  weight 5, version: v2, zone: a
  node n22                     http://127.0.0.1:3002  weight 1
cluster game                   any host /game/        round_robin
  node n1                      http://127.0.0.1:3003  weight 1
`
	if status != 0 || stdout != want || stderr != "" {
		t.Errorf("got %d\n%s%s\nwant\n%s", status, stdout, stderr, want)
	}
}

func TestCheckWarnsOfProxiesThatAreEverybody(t *testing.T) {
	for proxies, warns := range map[string]bool{"0.0.0.0/0": true, "[10.0.0.0/8, '::/0']": true, "[10.0.0.0/8, 0.0.0.0/1]": false} {
		file := write(t, "trusted_proxies: "+proxies+"\nclusters: [{name: a, nodes: [{name: n, url: 'http://h:1'}]}]\n")
		status, stdout, stderr := call(t, none, "check", "--config", file)
		if said := strings.Contains(stderr, "/0 is everybody, so clients choose their own address"); status != 0 || said != warns || !strings.Contains(stdout, ": ok\n") {
			t.Errorf("%s: %d\n%s%s", proxies, status, stdout, stderr)
		}
	}
}

func TestCheckTellsEveryProblem(t *testing.T) {
	file := write(t, "listen: 8080\nclusters:\n  - {name: a, nodes: [{name: n, url: 'ftp://h:1'}]}\n")
	for _, name := range []string{"check", "serve"} {
		status, stdout, stderr := call(t, none, name, "--config", file)
		want := "sidway: the settings cannot be used:\n" +
			file + ":1: listen: \"8080\" is a port without a colon; write :8080\n" +
			file + ":3: clusters[0].nodes[0].url: \"ftp://h:1\": nodes are spoken to by HTTP or HTTPS, for WebSockets too; write http://h:1\n"
		if status != 1 || stdout != "" || stderr != want {
			t.Errorf("%s: got %d\n%s%s\nwant\n%s", name, status, stdout, stderr, want)
		}
	}
}

// A certificate that has ended is refused where somebody asks whether all is well.
func TestCheckTellsOfACertificateThatHasEnded(t *testing.T) {
	ended := time.Now().Add(-time.Hour)
	cert, key := keyfiletest.NewAuthority(t, "a").Issue(t, keyfiletest.Request{From: ended.Add(-time.Hour), To: ended}).Write(t, t.TempDir(), "a")
	file := write(t, "tls: {certificates: [{cert: "+cert+", key: "+key+"}]}\nlisten: ':443;tls'\nclusters: [{name: a, nodes: [{name: n, url: 'http://h:1'}]}]\n")
	status, stdout, stderr := call(t, none, "check", "--config", file)
	if want := file + ":1: tls.certificates[0].cert: \"" + cert + "\" has ended on "; status != 1 || stdout != "" || !strings.Contains(stderr, want) {
		t.Errorf("got %d\n%s%s\nwant\n%s", status, stdout, stderr, want)
	}
}

func TestAMisspeltVariableIsRefused(t *testing.T) {
	file := write(t, "clusters: [{name: a, nodes: [{name: n, url: 'http://h:1'}]}]\n")
	for _, name := range []string{"check", "serve"} {
		status, stdout, stderr := call(t, []string{"SIDWAY_REDDIS=redis://:secret@h"}, name, "--config", file)
		want := "sidway: the settings cannot be used:\nSIDWAY_REDDIS: unknown variable; did you mean SIDWAY_REDIS?\n"
		if status != 1 || stdout != "" || stderr != want {
			t.Errorf("%s: got %d\n%s%s\nwant\n%s", name, status, stdout, stderr, want)
		}
	}
}

// TestCheckTellsWhatIsWrongWithTheRedisURL has a mistake in what the file says, and one in what it names.
func TestCheckTellsWhatIsWrongWithTheRedisURL(t *testing.T) {
	for url, want := range map[string]string{
		"redis+sentinel://:secret@h1,h2":     "the settings cannot be used:\n%s:1: affinity.redis: the master's name is missing",
		"redis://:secret@h/one":              "the settings cannot be used:\n%s:1: affinity.redis: the database after the host must be a number",
		"rediss://:secret@h?ca=/nowhere.pem": "affinity.redis: affinity: redis URL: ca: open /nowhere.pem: no such file",
	} {
		file := write(t, "affinity: {redis: '"+url+"'}\nclusters: [{name: a, nodes: [{name: n, url: 'http://h:1'}]}]\n")
		for _, name := range []string{"check", "serve"} {
			status, stdout, stderr := call(t, none, name, "--config", file)
			want := "sidway: " + strings.ReplaceAll(want, "%s", file)
			if status != 1 || stdout != "" || !strings.HasPrefix(stderr, want) || strings.Contains(stderr, "secret") {
				t.Errorf("%s: got %d %s%s want %s", name, status, stdout, stderr, want)
			}
		}
	}
}

func TestWithoutAnySettings(t *testing.T) {
	status, _, stderr := call(t, none, "serve")
	if status != 1 || !strings.Contains(stderr, "give --node http://127.0.0.1:3001") {
		t.Errorf("got %d %s", status, stderr)
	}
	status, _, stderr = call(t, none, "serve", "--config", filepath.Join(t.TempDir(), "none.yaml"))
	if status != 1 || !strings.Contains(stderr, "none.yaml: no such file") {
		t.Errorf("got %d %s", status, stderr)
	}
}
