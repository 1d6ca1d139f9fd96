package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/gateway/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// none is an empty environment.
var none []string

// env is an environment of a test's own.
func env(vars map[string]string) []string {
	var environ []string
	for name, text := range vars {
		environ = append(environ, name+"="+text)
	}
	return environ
}

// write puts a configuration into a file called sidway.yaml.
func write(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sidway.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The shape that design fixes: every value in it must arrive.
const shape = `
listen: 0.0.0.0:8080            # or a list
admin: {listen: 127.0.0.1:9090}
affinity: {redis: redis://127.0.0.1:6379/0}   # left out: in memory, for one replica
clusters:
  - name: chat
    host: chat.example.com      # optional
    path: /socket.io/           # the default
    nodes:
      - {name: n1, url: http://127.0.0.1:3001, weight: 5}
      - {name: n2, url: http://127.0.0.1:3002}
`

func TestLoadReadsTheDocumentedShape(t *testing.T) {
	got, err := config.Load(write(t, shape), none)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Listen = []config.Listener{{Address: "0.0.0.0:8080"}}
	want.Affinity.Redis, want.TLS.Tickets = "redis://127.0.0.1:6379/0", []string{"redis"}
	want.Clusters = []config.Cluster{{
		Name:    "chat",
		Host:    []string{"chat.example.com"},
		Path:    "/socket.io/",
		Balance: config.LeastSessions,
		Pace:    config.Pace{SlowStart: 30 * time.Second},
		Guard:   config.Guard{MaxAttachments: 10},
		Nodes: []config.Node{
			{Name: "n1", URL: "http://127.0.0.1:3001", Weight: 5},
			{Name: "n2", URL: "http://127.0.0.1:3002", Weight: 1},
		},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	if a := got.Clusters[0].Nodes[0].Address(); a != "127.0.0.1:3001" {
		t.Errorf("Address: got %q", a)
	}
}

func TestNodesMayBePlainStrings(t *testing.T) {
	got, err := config.Load(write(t, `
clusters:
  - name: chat
    nodes:
      - http://10.0.0.1:3000
      - "n2=http://${HOST}:3000;5"
      - {name: n3, url: http://10.0.0.3:3000}
`), env(map[string]string{"HOST": "10.0.0.2"}))
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Node{
		{Name: "10.0.0.1-3000", URL: "http://10.0.0.1:3000", Weight: 1},
		{Name: "n2", URL: "http://10.0.0.2:3000", Weight: 5},
		{Name: "n3", URL: "http://10.0.0.3:3000", Weight: 1},
	}
	if !reflect.DeepEqual(got.Clusters[0].Nodes, want) {
		t.Errorf("got %+v", got.Clusters[0].Nodes)
	}
}

// Lines that do not go to the log are not of its level, and there are some although access_log is not set.
func TestAnAccessLogOfItsOwn(t *testing.T) {
	lines := filepath.Join(t.TempDir(), "access.log")
	file := write(t, "log: {level: warn, access: "+lines+", access_format: combined}\nclusters: [{name: a, nodes: [\"http://h:1\"]}]\n")
	if c, err := config.Load(file, nil); err != nil || !c.HasAccess() || c.Log.Access != lines {
		t.Errorf("got %+v and %v", c, err)
	}
}

// Each way to write where clients connect, in a file and as String writes it again.
func TestListeners(t *testing.T) {
	for text, want := range map[string][]string{
		"listen: h:80": {"h:80"},
		"listen: {address: 'unix:/run/S', mode: 600}":                                                            {"unix:/run/S;mode=0600"},
		"listen: [':80', {address: ':81', redirect: 'https:8443'}]":                                              {":80", ":81;redirect=https:8443"},
		"trusted_proxies: ::/0\nlisten: [':80;proxy_protocol=false', {address: ':81', proxy_protocol: true}]":    {":80", ":81;proxy_protocol"},
		"listen:\n  - :80\n  - unix:/run/S;mode=0666\n  - {address: unix:/run/T}\n  - fd:web\n  - address: H:81": {":80", "unix:/run/S;mode=0666", "unix:/run/T", "fd:web", "h:81"},
	} {
		c, err := config.Load(write(t, good+text+"\n"), nil)
		if err != nil {
			t.Error(err)
			continue
		}
		for i, l := range c.Listen {
			if i >= len(want) || l.String() != want[i] {
				t.Errorf("%s: got %s, want %s", text, c.Listen, want)
			}
		}
	}
}
