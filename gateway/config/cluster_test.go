package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/config"
)

// every is a cluster with all its settings, in each of the ways to write them.
const every = `
admin: {token: "${TOKEN}"}
clusters:
  - name: chat
    balance: hash
    hash_by: header:X-User
    keep_alive: false
    max_body: 1MB
    health:
      path: /healthz?full=1
      status: 204
      interval: 1s
      timeout: 900ms
      rise: 4
      fall: 5
    pace: {handshakes: 12000/m, burst: 7, slow_start: 0s}
    guard: {report: [attachments, event-name], max_attachments: 3}
    release: {share: 12.5%, version: 2}
    discover: {dns: "chat.local.:3000", interval: 3s}
    request_headers:
      set: {X-Env: "${ENV}-eu", Authorization: "Bearer a b"}
      remove: [X-Debug, x-trace]
    static:
      /a/: {dir: ., max_age: 720h}
      /a/longer/:
        dir: ..
      /b/: {dir: /}
    maintenance: config.go
    nodes:
      - {name: n1, url: http://127.0.0.1:3001, labels: {version: "2", zone: eu_1.a-B}}
      - http://127.0.0.1:3002
  - name: srv
    path: /srv/
    health: {handshake: true, interval: 1s}
    discover: {srv: _sio._tcp.chat}
  - name: pods
    path: /pods/
    balance: hash
    health:
    release: {track: canary, share: 0.25}
    discover:
      kubernetes: {service: chat, namespace: prod, port: 3000, api: https://10.0.0.1:6443/}
  - {name: two, path: /two/, balance: random_two, nodes: ['http://127.0.0.1:3003']}
`

func TestEverySettingOfAClusterArrives(t *testing.T) {
	got, err := config.Load(write(t, every), env(map[string]string{"ENV": "prod", "TOKEN": "abc="}))
	if err != nil {
		t.Fatal(err)
	}
	pace, usual := config.Pace{SlowStart: 30 * time.Second}, config.Guard{MaxAttachments: 10}
	want := []config.Cluster{
		{
			Name: "chat", Path: "/socket.io/", Balance: config.Hash, HashBy: "header:X-User", DisableKeepAlive: true, MaxBody: 1_000_000,
			Health:   &config.Health{Path: "/healthz?full=1", Status: 204, Interval: time.Second, Timeout: 900 * time.Millisecond, Rise: 4, Fall: 5},
			Pace:     config.Pace{Handshakes: 200, Burst: 7},
			Guard:    config.Guard{Report: []string{"attachments", "event-name"}, MaxAttachments: 3},
			Release:  config.Release{Label: "version", Value: "2", Share: 0.125},
			Discover: &config.Discover{DNS: "chat.local.:3000", Interval: 3 * time.Second},
			Headers: config.Headers{
				Set:    []config.Header{{Name: "X-Env", Value: "prod-eu"}, {Name: "Authorization", Value: "Bearer a b"}},
				Remove: []string{"X-Debug", "x-trace"},
			},
			Static: []config.Static{
				{Prefix: "/a/longer/", Dir: ".."}, {Prefix: "/a/", Dir: ".", MaxAge: 720 * time.Hour}, {Prefix: "/b/", Dir: "/"},
			},
			Maintenance: "config.go",
			Nodes: []config.Node{
				{Name: "n1", URL: "http://127.0.0.1:3001", Weight: 1, Labels: map[string]string{"version": "2", "zone": "eu_1.a-B"}},
				{Name: "127.0.0.1-3002", URL: "http://127.0.0.1:3002", Weight: 1},
			},
		},
		{
			Name: "srv", Path: "/srv/", Balance: config.LeastSessions, Pace: pace, Guard: usual,
			Health:   &config.Health{Status: 200, Interval: time.Second, Timeout: time.Second, Rise: 2, Fall: 3, Handshake: true},
			Discover: &config.Discover{SRV: "_sio._tcp.chat"},
		},
		{
			Name: "pods", Path: "/pods/", Balance: config.Hash, HashBy: "client", Pace: pace, Guard: usual,
			Health:  &config.Health{Status: 200, Interval: 5 * time.Second, Timeout: 2 * time.Second, Rise: 2, Fall: 3},
			Release: config.Release{Label: "track", Value: "canary", Share: 0.25},
			Discover: &config.Discover{
				Kubernetes: &config.Kubernetes{Service: "chat", Namespace: "prod", Port: "3000", API: "https://10.0.0.1:6443"},
			},
		},
		{
			Name: "two", Path: "/two/", Balance: config.RandomTwo, Pace: pace, Guard: usual,
			Nodes: []config.Node{{Name: "127.0.0.1-3003", URL: "http://127.0.0.1:3003", Weight: 1}},
		},
	}
	for i := range want {
		if !reflect.DeepEqual(got.Clusters[i], want[i]) {
			t.Errorf("got  %+v\nwant %+v", got.Clusters[i], want[i])
		}
	}
	if got.Admin.Token != "abc=" {
		t.Errorf("the token is %q", got.Admin.Token)
	}
}

// A new field of a cluster, or of what is in it, needs a line in the table, which is seen by the reference.
func TestEverySettingOfAClusterIsInTheReference(t *testing.T) {
	_, clusters, _ := strings.Cut(config.Reference(), "\n## clusters\n")
	written := len(regexp.MustCompile("(?m)^- \\*\\*`").FindAllString(clusters, -1))
	// name, url, weight and labels of a node; the release's three are one; the static prefixes' three, too, and the two of a claim.
	fields := members(reflect.TypeFor[config.Cluster]())
	if want := fields - 2 - 2 - 1; written != want {
		t.Errorf("%d settings are written down, the types have %d", written, want)
	}
}

// members counts the fields of a cluster and below it, and each pointer to more of them.
func members(t reflect.Type) int {
	n := 0
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		if t.Kind() == reflect.Pointer {
			n++
		}
		t = t.Elem()
	}
	switch {
	case t.Kind() != reflect.Struct || t == reflect.TypeFor[config.Header]():
		return 1
	case t == reflect.TypeFor[config.Node]():
		n++ // nodes itself
	}
	for f := range t.Fields() {
		n += members(f.Type)
	}
	return n
}

func TestRatesAndShares(t *testing.T) {
	for text, want := range map[string]float64{"200": 200, "200/s": 200, "0": 0, "0.5/s": 0.5, "30/m": 0.5, "12000 / m": 200, "1000000/s": 1e6} {
		c, err := config.Load(write(t, cluster("pace: {handshakes: "+text+"}")), none)
		if err != nil || c.Clusters[0].Pace.Handshakes != want {
			t.Errorf("%s: got %v %+v, want %g", text, err, c, want)
		}
	}
	for text, want := range map[string]float64{"10%": 0.1, "0.1": 0.1, "0": 0, "0%": 0, "100%": 1, "1.0": 1, "1%": 0.01, "0.5 %": 0.005} {
		c, err := config.Load(write(t, nodes("{name: n, url: 'http://h:1', labels: {version: v2}}")+"    release: {version: v2, share: "+text+"}\n"), none)
		if err != nil || c.Clusters[0].Release.Share != want {
			t.Errorf("%s: got %v %+v, want %g", text, err, c, want)
		}
	}
}

// Nodes of the environment take the place of those of the file, labels and all.
func TestNodesOfTheEnvironmentHaveNoLabels(t *testing.T) {
	file := write(t, nodes("{name: n, url: 'http://h:1', labels: {version: v2}}")+"    release: {version: v2, share: 10%}\n")
	_, err := config.Load(file, env(map[string]string{"SIDWAY_NODES": "http://h:2"}))
	if want := file + ":5: clusters[0].release.version: no node has a label version; write labels: {version: v2} at a node"; err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	// Nodes that are found may have the label.
	found := write(t, "clusters: [{name: a, discover: {dns: 'h:1'}, release: {version: v2, share: 10%}}]\n")
	c, err := config.Load(found, env(map[string]string{"SIDWAY_NODES": "http://h:2"}))
	if err != nil || len(c.Clusters[0].Nodes) != 1 || c.Clusters[0].Discover == nil {
		t.Errorf("got %+v %v", c, err)
	}
}

func TestNoSecretIsPrinted(t *testing.T) {
	text := strings.ReplaceAll(every, "Bearer a b", "${SECRET}")
	c, err := config.Load(write(t, text), env(map[string]string{"ENV": "secret", "TOKEN": "secret", "SECRET": "secret"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{fmt.Sprintf("%v %+v", *c, *c), fmt.Sprint(c.InForce()), fmt.Sprint(c.Clusters[0].InForce())} {
		if strings.Contains(printed, "secret") || !strings.Contains(printed, "X-Env") && !strings.Contains(printed, "admin.token set") {
			t.Error(printed)
		}
	}
	for _, bad := range []string{"sec ret", "secret${x", "secret%", strings.Repeat("secret", 200), "==="} {
		_, err := config.Load("", env(map[string]string{"SIDWAY_ADMIN_TOKEN": bad, "SIDWAY_NODES": "http://h:1"}))
		if err == nil || strings.Contains(err.Error(), "sec") || !strings.Contains(err.Error(), "SIDWAY_ADMIN_TOKEN: admin.token: a token ") {
			t.Errorf("%.20q: got %v", bad, err)
		}
	}
}

// withoutObject leaves the key and what is below it out.
func withoutObject(text, key string) string {
	var kept strings.Builder
	depth := -1
	for line := range strings.Lines(text) {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if strings.HasPrefix(line[indent:], key+":") {
			depth = indent
		} else if depth < 0 || indent <= depth {
			depth = -1
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// What is commented out in the example is valid too, so that it can be taken in as it is.
func TestTheExampleCanBeUncommented(t *testing.T) {
	t.Chdir(t.TempDir())
	ssl := sslFiles(t)
	if err := errors.Join(os.Mkdir("public", 0o700), os.WriteFile("maintenance.html", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	commented := regexp.MustCompile(`^( *# (?: |# )*)([a-z_]+):`)
	head, clusters, _ := strings.Cut(strings.ReplaceAll(config.Example(), "/etc/ssl", ssl), "\nclusters:\n")
	head = regexp.MustCompile("(?m)^  # (client_[a-z]+: )").ReplaceAllString(head, "  $1")
	for kind, others := range map[string][]string{
		"dns":        {"srv", "kubernetes", "service", "namespace", "port", "api"},
		"srv":        {"dns", "kubernetes", "service", "namespace", "port", "api"},
		"kubernetes": {"dns", "srv"},
	} {
		text := head + "\nclusters:\n"
		for line := range strings.Lines(strings.Replace(clusters, string(config.LeastSessions), string(config.Hash), 1)) {
			m := commented.FindStringSubmatch(line)
			if m != nil && slices.Contains(others, m[2]) {
				continue
			}
			if m != nil {
				line = strings.ReplaceAll(m[1], "# ", "") + line[len(m[1]):]
			}
			text += line
		}
		gate := "jwt"
		if kind == "dns" {
			gate = "forward"
		}
		text = withoutObject(text, gate)
		got, err := config.Load(write(t, text), none)
		if err != nil {
			t.Errorf("%s: %v\n%s", kind, err, text)
			continue
		}
		c := reflect.ValueOf(got.Clusters[0])
		for f, v := range c.Fields() {
			if v.IsZero() && !slices.Contains([]string{"Host", "Origins", "DisableKeepAlive", "MaxBody"}, f.Name) {
				t.Errorf("%s: %s is not set by\n%s", kind, f.Name, text)
			}
		}
	}
}

func TestWhatIsReadFromDisk(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := errors.Join(
		os.WriteFile("large.html", make([]byte, 1<<20+1), 0o600), os.WriteFile("most.html", make([]byte, 1<<20), 0o600), os.Mkdir("public", 0o700),
	); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for setting, want := range map[string]string{
		"maintenance: most.html":                             "",
		"maintenance: " + filepath.Join(here, "most.html"):   "",
		"maintenance: large.html":                            `maintenance: "large.html" has 1048577 bytes; write a file of up to 1 MiB`,
		"maintenance: public":                                `maintenance: "public" is not a file; write an HTML file`,
		"maintenance: none.html":                             `maintenance: "none.html" cannot be read: no such file or directory; it is seen from the working directory, "` + here + `"`,
		"maintenance: /dev/null":                             `maintenance: "/dev/null" is not a file; write an HTML file`,
		"maintenance: ''":                                    "maintenance: the name is empty; write a file's, or leave the key out",
		"static: {/a/: {dir: public}}":                       "",
		"static: {/a/: {dir: most.html}}":                    `static./a/.dir: "most.html" is a file, not a directory; write the directory that it is in`,
		"static: {/a/: {dir: /none}}":                        `static./a/.dir: "/none" cannot be read: no such file or directory`,
		"static: {/a/: {dir: ./none}, /b/: {dir: './${D}'}}": `static./a/.dir: "./none" cannot be read: no such file or directory; it is seen from the working directory, "` + here + `"`,
	} {
		file := write(t, cluster(setting))
		_, err := config.Load(file, env(map[string]string{"D": "public"}))
		if want != "" {
			want = file + ":2: clusters[0]." + want
		}
		if got := fmt.Sprint(err); got != want && (err != nil || want != "") {
			t.Errorf("%s: got\n%v\nwant\n%s", setting, err, want)
		}
	}
}
