package config_test

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/limits"
)

func TestEveryVariableSetsItsSetting(t *testing.T) {
	ssl := sslFiles(t)
	got, err := config.Load("", env(map[string]string{
		"SIDWAY_LISTEN":                ":1;tls, [::1]:2, unix:/run/S;mode=600, fd:web",
		"SIDWAY_ADMIN_LISTEN":          "off",
		"SIDWAY_ADMIN_HOSTS":           "ops.example.com,*.Local",
		"SIDWAY_ADMIN_PPROF":           "true",
		"SIDWAY_ADMIN_OPEN_METRICS":    "true",
		"SIDWAY_ADMIN_TOKEN":           "t0ken==",
		"SIDWAY_REDIS":                 "rediss+cluster://a:1,b:2",
		"SIDWAY_AFFINITY_PASSWORD":     "pw",
		"SIDWAY_AFFINITY_PREFIX":       "x:",
		"SIDWAY_AFFINITY_CACHE":        "3",
		"SIDWAY_ACCESS_LOG":            "true",
		"SIDWAY_LOG_LEVEL":             "debug",
		"SIDWAY_LOG_FORMAT":            "json",
		"SIDWAY_LOG_ACCESS":            "stdout",
		"SIDWAY_LOG_ACCESS_FORMAT":     "combined",
		"SIDWAY_TRACE_ENDPOINT":        "https://otel.example.com/v1",
		"SIDWAY_TRACE_SAMPLE":          "50%",
		"SIDWAY_TRUSTED_PROXIES":       "10.0.0.0/8,::1",
		"SIDWAY_TLS_CERTIFICATES":      ssl + "/a.pem;key=" + ssl + "/a.key",
		"SIDWAY_TLS_MIN_VERSION":       "1.3",
		"SIDWAY_TLS_CLIENT_CA":         ssl + "/clients.pem",
		"SIDWAY_TLS_CLIENT_AUTH":       "optional",
		"SIDWAY_TLS_TICKETS":           "off",
		"SIDWAY_TLS_ACME_DOMAINS":      "A.example.com,b.example.com",
		"SIDWAY_TLS_ACME_EMAIL":        "me@example.com",
		"SIDWAY_TLS_ACME_DIRECTORY":    "https://ca:14000/dir",
		"SIDWAY_TLS_ACME_CA":           ssl + "/clients.pem",
		"SIDWAY_TLS_ACME_STORAGE":      ssl,
		"SIDWAY_TLS_ACME_CHALLENGES":   "tls-alpn-01",
		"SIDWAY_TLS_ACME_EAB_KID":      "kid",
		"SIDWAY_TLS_ACME_EAB_HMAC":     "c2VjcmV0",
		"SIDWAY_TLS_HTTP2":             "true",
		"SIDWAY_TLS_HSTS":              "24h",
		"SIDWAY_LIMITS_CONNECTIONS":    "4",
		"SIDWAY_LIMITS_HEADER_TIME":    "5ms",
		"SIDWAY_LIMITS_BODY_TIME":      "6ms",
		"SIDWAY_LIMITS_BODY_RATE":      "7kB",
		"SIDWAY_LIMITS_IDLE_TIME":      "8ms",
		"SIDWAY_LIMITS_WRITE_TIME":     "9ms",
		"SIDWAY_LIMITS_HANDSHAKE_TIME": "10ms",
		"SIDWAY_LIMITS_QUEUE_TIME":     "11ms",
		"SIDWAY_LIMITS_QUEUE":          "0",
		"SIDWAY_LIMITS_UNKNOWN_SIDS":   "13",
		"SIDWAY_SHUTDOWN_NOTICE":       "0s",
		"SIDWAY_SHUTDOWN_DEADLINE":     "1m30s",
		"SIDWAY_SHUTDOWN_WAVES":        "12",
		"SIDWAY_RUNTIME_BUSY_LOOPS":    "false",
		"SIDWAY_NODES":                 "n1=http://a:1;weight=5, http://[::1]:3, http://B:3;7",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		Listen:         []config.Listener{{Address: ":1", TLS: true}, {Address: "[::1]:2"}, {Address: "unix:/run/S", Mode: 0o600}, {Address: "fd:web"}},
		Admin:          config.Admin{Listen: "off", Hosts: []string{"ops.example.com", "*.local"}, Pprof: true, OpenMetrics: true, Token: "t0ken=="},
		Affinity:       config.Affinity{Redis: "rediss+cluster://:pw@a:1,b:2", Password: "pw", Prefix: "x:", Cache: 3},
		AccessLog:      true,
		Log:            config.Log{Level: "debug", Format: "json", Access: "stdout", AccessFormat: "combined"},
		Trace:          config.Trace{Endpoint: "https://otel.example.com/v1", Sample: 0.5},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		TLS: config.TLS{
			Certificates: []config.Certificate{{Cert: ssl + "/a.pem", Key: ssl + "/a.key"}}, MinVersion: "1.3",
			ClientCA: ssl + "/clients.pem", ClientAuth: "optional", Tickets: []string{"off"}, HTTP2: true, HSTS: 24 * time.Hour,
			ACME: config.ACME{
				Domains: []string{"a.example.com", "b.example.com"}, Email: "me@example.com", Directory: "https://ca:14000/dir", CA: ssl + "/clients.pem",
				Storage: ssl, Challenges: []string{"tls-alpn-01"}, EABKid: "kid", EABHMAC: "c2VjcmV0",
			},
		},
		Limits: limits.Limits{
			Connections: 4, HeaderTime: 5 * time.Millisecond, BodyTime: 6 * time.Millisecond, BodyRate: 7000,
			IdleTime: 8 * time.Millisecond, WriteTime: 9 * time.Millisecond, HandshakeTime: 10 * time.Millisecond,
			QueueTime: 11 * time.Millisecond, Queue: 0, UnknownSIDs: 13,
		},
		Shutdown: config.Shutdown{Deadline: 90 * time.Second, Waves: 12},
		Clusters: []config.Cluster{{
			Name: "default", Path: "/socket.io/", Balance: config.LeastSessions, Pace: config.Pace{SlowStart: 30 * time.Second}, Guard: config.Guard{MaxAttachments: 10},
			Nodes: []config.Node{
				{Name: "n1", URL: "http://a:1", Weight: 5},
				{Name: "1-3", URL: "http://[::1]:3", Weight: 1},
				{Name: "b-3", URL: "http://b:3", Weight: 7},
			},
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !got.Admin.Off() {
		t.Error("admin is not off")
	}
}

func TestFlagsWinOverEnvironmentOverFile(t *testing.T) {
	file := write(t, "listen: ':1'\nadmin: {listen: ':2'}\nlog: {level: debug}\n"+good)
	vars := env(map[string]string{"SIDWAY_LISTEN": ":3", "SIDWAY_ADMIN_LISTEN": ":4", "SIDWAY_LOG_LEVEL": "", "SIDWAY_NODES": "http://x:1"})
	got, err := config.LoadWith(file, vars, config.Flags{
		"listen": {":5", ":6"}, "redis": {"redis://q", "redis://r"}, "access-log": {"true"}, "node": {"y=http://y:1;2"},
		"limits.idle-time": {"3m"}, "log.format": {""},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Listen, want.Admin.Listen, want.Log.Level = []config.Listener{{Address: ":5"}, {Address: ":6"}}, ":4", "debug"
	want.Affinity.Redis, want.AccessLog, want.Limits.IdleTime, want.TLS.Tickets = "redis://r", true, 3*time.Minute, []string{"redis"}
	want.Clusters = []config.Cluster{{
		Name: "a", Path: "/socket.io/", Balance: config.LeastSessions, Pace: config.Pace{SlowStart: 30 * time.Second}, Guard: config.Guard{MaxAttachments: 10},
		Nodes: []config.Node{{Name: "y", URL: "http://y:1", Weight: 2}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestNodesInAnyOrderHaveTheSameNames(t *testing.T) {
	names := func(urls ...string) map[string]string {
		c, err := config.LoadWith("", none, config.Flags{"node": urls})
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]string{}
		for _, n := range c.Clusters[0].Nodes {
			m[n.Name] = n.URL
		}
		return m
	}
	if a, b := names("http://h:1", "http://h:2"), names("http://h:2", "http://h:1"); !reflect.DeepEqual(a, b) {
		t.Errorf("%v and %v: a replica would send sessions to the wrong node", a, b)
	}
}

func TestEnvironmentAndFlagsAreToldByTheirNames(t *testing.T) {
	two := write(t, "clusters:\n  - {name: a, nodes: [{name: n, url: 'http://h:1'}]}\n  - {name: b, path: /b/, nodes: [{name: n, url: 'http://h:1'}]}\n")
	for _, tt := range []struct {
		file string
		vars map[string]string
		f    config.Flags
		want string
	}{
		{
			vars: map[string]string{"SIDWAY_LOG_LEVEL": "loud", "SIDWAY_LISTEN": ":1,x", "SIDWAY_NODES": "http://h:1"},
			want: "SIDWAY_LISTEN: listen: \"x\" is no address; write host:port, as 0.0.0.0:8080, :8080 or [::1]:8080\n" +
				"SIDWAY_LOG_LEVEL: log.level: \"loud\" is unknown; write one of debug, info, warn, error",
		},
		{
			vars: map[string]string{"SIDWAY_AFFINITY_REDIS": "redis://h", "SIDWAY_NODES": "http://h:1"},
			want: "SIDWAY_AFFINITY_REDIS: unknown variable; did you mean SIDWAY_REDIS?",
		},
		{
			vars: map[string]string{"SIDWAY_NODES": "a=h:1,http://h:2;0,b=,http://h:4,http://h:4"},
			want: "SIDWAY_NODES: clusters[0].nodes[0].url: \"h:1\" has no scheme; write http://h:1\n" +
				"SIDWAY_NODES: clusters[0].nodes[1].weight: \"0\" is not a whole number from 1 to 1000; a weight says how many sessions a node takes beside the others, 1 is the default\n" +
				"SIDWAY_NODES: clusters[0].nodes[2].url: \"\" is not a node's URL; write http://host:port\n" +
				"SIDWAY_NODES: clusters[0].nodes[4].name: \"h-4\" is also clusters[0].nodes[3].name; node names must differ within a cluster\n" +
				"SIDWAY_NODES: clusters[0].nodes[4].url: \"http://h:4\" is also clusters[0].nodes[3].url; one process is one node; raise its weight instead",
		},
		{
			want: "there are no nodes to send anything to; name a file that has clusters, as --config sidway.yaml, or set SIDWAY_NODES, or give --node http://127.0.0.1:3001",
		},
		{
			vars: map[string]string{"SIDWAY_NODES": "http://h:1;weight=5x"},
			want: "SIDWAY_NODES: clusters[0].nodes[0].weight: \"5x\" is not a whole number from 1 to 1000; a weight says how many sessions a node takes beside the others, 1 is the default",
		},
		{
			file: two,
			f:    config.Flags{"node": {"http://h:1"}},
			want: "--node: there is more than one cluster, so it is unclear whose nodes these are; write them in the file",
		},
		{
			f: config.Flags{"node": {"http://h:1"}, "redis": {"http://h"}, "admin": {"x"}, "listen": {"1"}, "access-log": {"on"}, "limits.queue": {"x"}},
			want: "--listen: listen: \"1\" is a port without a colon; write :1\n" +
				"--admin: admin.listen: \"x\" is no address; write host:port, as 0.0.0.0:8080, :8080 or [::1]:8080; or off\n" +
				"--redis: affinity.redis: the scheme \"http\" is unknown; write one of redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster, rediss+cluster\n" +
				"--access-log: access_log: \"on\" is neither true nor false\n" +
				"--limits.queue: limits.queue: \"x\" is not a whole number from 0 to 1000000",
		},
	} {
		_, err := config.LoadWith(tt.file, env(tt.vars), tt.f)
		var e *config.Error
		if !errors.As(err, &e) || e.Error() != tt.want {
			t.Errorf("got\n%v\nwant\n%s", err, tt.want)
		}
	}
}

func TestUnknownVariablesAreRefused(t *testing.T) {
	for name, want := range map[string]string{
		"SIDWAY_LISTN":          "did you mean SIDWAY_LISTEN?",
		"SIDWAY_listen":         "did you mean SIDWAY_LISTEN?",
		"SIDWAY_LISTEN_ADDRESS": "did you mean SIDWAY_LISTEN?",
		"SIDEWAY_REDIS":         "did you mean SIDWAY_REDIS?",
		"SIDWAY_REDIS_URL":      "did you mean SIDWAY_REDIS?",
		"SIDWAY_NODE":           "did you mean SIDWAY_NODES?",
		"SIDWAY_HEADER_TIME":    "did you mean SIDWAY_LIMITS_HEADER_TIME?",
		"SIDWAY_LOGLEVEL":       "did you mean SIDWAY_LOG_LEVEL?",
		"SIDWAY_PORT":           "sidway help settings lists all of them",
		"SIDWAY_":               "sidway help settings lists all of them",
	} {
		_, err := config.Load(write(t, good), env(map[string]string{name: "8080 secret"}))
		if err == nil || err.Error() != name+": unknown variable; "+want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

// What is not a misspelt setting must not stop a replica.
func TestVariablesOfOthersAreLeftAlone(t *testing.T) {
	_, err := config.Load(write(t, good), env(map[string]string{
		// Kubernetes, for the Services sidway and sidway-redis
		"SIDWAY_SERVICE_HOST":              "10.0.0.1",
		"SIDWAY_SERVICE_PORT":              "80",
		"SIDWAY_SERVICE_PORT_HTTP_METRICS": "9090",
		"SIDWAY_PORT":                      "tcp://10.0.0.1:80",
		"SIDWAY_PORT_80_TCP":               "tcp://10.0.0.1:80",
		"SIDWAY_PORT_80_TCP_PROTO":         "tcp",
		"SIDWAY_PORT_80_TCP_PORT":          "80",
		"SIDWAY_PORT_80_TCP_ADDR":          "10.0.0.1",
		"SIDWAY_REDIS_SERVICE_HOST":        "10.0.0.2",
		"SIDWAY_REDIS_SERVICE_PORT":        "6379",
		"SIDWAY_REDIS_PORT":                "udp://10.0.0.2:6379",
		"SIDWAY_REDIS_PORT_6379_UDP_ADDR":  "10.0.0.2",
		// and what else there may be
		"SIDWAY_DEMO_PORT": "8081", // docker-compose.yml's
		"SIDWAY_LISTN":     "",
		"SIDEWAY":          "x",
		"SIDEWAY_HOME":     "/x",
		"BROADWAY_LISTEN":  "x",
	}))
	if err != nil {
		t.Error(err)
	}
}

func TestEverySettingCanBeSet(t *testing.T) {
	if n, variables := leaves(reflect.TypeFor[config.Config]()), len(config.Settings()); n != variables {
		t.Errorf("Config has %d settings, %d can be set", n, variables)
	}
}

// Defaults and samples are valid, so that they can be copied.
func TestEverySettingIsShownWithAValue(t *testing.T) {
	vars := map[string]string{}
	flags := config.Flags{}
	ssl := sslFiles(t)
	for _, s := range config.Settings() {
		value := strings.ReplaceAll(s.Default+s.Sample, "/etc/ssl", ssl)
		if s.Key == "listen" {
			value += ";tls" // as certificates want it
		}
		vars[s.Variable], flags[s.Flag] = value, strings.Split(value, ",")
		if (s.Default == "") == (s.Sample == "") {
			t.Errorf("%s needs a default or a sample, and not both", s.Key)
		}
	}
	byVariables, err := config.Load("", env(vars))
	if err != nil {
		t.Fatal(err)
	}
	if byFlags, err := config.LoadWith("", none, flags); err != nil || !reflect.DeepEqual(byFlags, byVariables) {
		t.Errorf("flags give %+v %v\nvariables %+v", byFlags, err, byVariables)
	}
}

// leaves counts the settings of a type; clusters count as one.
func leaves(t reflect.Type) int {
	if t.Kind() != reflect.Struct {
		return 1
	}
	n := 0
	for f := range t.Fields() {
		n += leaves(f.Type)
	}
	return n
}

var update = flag.Bool("update", false, "write sidway.example.yaml and docs/configuration.md")

// isMade fails unless a file holds this text, or writes it.
func isMade(t *testing.T, file, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := os.ReadFile(file); err != nil || string(found) != text {
		t.Errorf("%s is not what the settings say (%v); write it by: go test ./gateway/config -update", file, err)
	}
}

func TestTheReferenceIsMadeOfTheSettings(t *testing.T) {
	isMade(t, "../../docs/configuration.md", config.Reference())
	for _, s := range config.Settings() {
		for _, name := range []string{"--" + s.Flag, s.Variable} {
			if !strings.Contains(config.Reference(), "`"+name+"`") {
				t.Errorf("%s is missing", name)
			}
		}
	}
	if loose := regexp.MustCompile("(?m)^- \\*\\*`.*`\\.\n(- |\n|$)").FindString(config.Reference()); loose != "" {
		t.Errorf("nothing is told of %s", loose)
	}
}

// A page that a setting's words point to says something of it.
func TestPagesThatTheExampleFilePointsTo(t *testing.T) {
	key, page := regexp.MustCompile(`^ *(?:# )?([a-z_0-9]+):`), regexp.MustCompile(`docs/[a-z-]+\.md`)
	pointer, found := "", 0
	for line := range strings.Lines(config.Example()) {
		if p := page.FindString(line); p != "" {
			pointer = p
		}
		k := key.FindStringSubmatch(line)
		if pointer == "" || k == nil {
			continue
		}
		text, err := os.ReadFile("../../" + pointer)
		if err != nil || !strings.Contains(string(text), k[1]) {
			t.Errorf("%s says nothing of %s (%v)", pointer, k[1], err)
		}
		pointer, found = "", found+1
	}
	if found < 3 {
		t.Errorf("%d pointers are found", found)
	}
}

func TestTheExampleFileIsMadeOfTheSettings(t *testing.T) {
	const file = "../../sidway.example.yaml"
	isMade(t, file, config.Example())
	for _, k := range []string{"clusters", "name", "host", "path", "balance", "keep_alive", "max_body", "nodes", "url", "weight", "labels"} {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^[ -]*(# )?%s:`, k)).MatchString(config.Example()) {
			t.Errorf("%s is missing", k)
		}
	}
	got, err := config.Load(file, none)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Clusters = []config.Cluster{{
		Name: "chat", Path: "/socket.io/", Balance: config.LeastSessions, Pace: config.Pace{SlowStart: 30 * time.Second}, Guard: config.Guard{MaxAttachments: 10},
		Nodes: []config.Node{
			{Name: "n1", URL: "http://127.0.0.1:3001", Weight: 1},
			{Name: "n2", URL: "http://127.0.0.1:3002", Weight: 1},
		},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestThePasswordOfRedisIsNeverPrinted(t *testing.T) {
	for url, want := range map[string]string{
		"":                                      "memory",
		"redis://127.0.0.1:6379/0":              "redis://127.0.0.1:6379/0",
		"rediss://u:se@cret@h:1/2?ca=/secret":   "rediss://h:1/2",
		"redis://:se?cret@h":                    "redis://…",
		"redis://:s@e?cret@h":                   "redis://…",
		"redis+sentinel://:secret@a,b:2/main/0": "redis+sentinel://a,b:2/main/0",
	} {
		a := config.Affinity{Redis: url}
		if got := a.String(); got != want {
			t.Errorf("%s: got %s", url, got)
		}
		if all := fmt.Sprintf("%+v %v", config.Config{Affinity: a}, &config.Config{Affinity: a}); strings.Contains(all, "cret") {
			t.Error(all)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"serve", "check", "version", "help"}
	for text, want := range map[string]string{
		"sevre": "serve", "chek": "check", "Version": "version", "ver": "version", "checkconfig": "check",
		"": "", "x": "", "start": "", strings.Repeat("serve", 1000): "",
	} {
		if got := config.Nearest(text, words); got != want {
			t.Errorf("%.20q: got %q, want %q", text, got, want)
		}
	}
}
