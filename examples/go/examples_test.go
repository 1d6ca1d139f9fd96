// Package examples_test runs the examples as they stand.
package examples_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// The two servers are one cluster: what a client of one says, a client of the other hears.
func TestServersAreOneCluster(t *testing.T) {
	redis := affinitytest.StartRedis(t)
	talker := connect(t, start(t, "nethttp", redis.Addr()))
	listener := connect(t, start(t, "gin", redis.Addr()))
	talker.do(t, "POST", `42["say","hello from the other side"]`)
	affinitytest.Eventually(t, "the message arrives", func() bool {
		return strings.Contains(listener.do(t, "GET", ""), `["said","hello from the other side"]`)
	})
}

// docs/adapter.md begins with the program that this test runs.
func TestThePageHasTheProgram(t *testing.T) {
	program, err := os.ReadFile("nethttp/main.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/adapter.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program2, _ := strings.Cut(string(program), "package main")
	if _, block, _ := strings.Cut(string(page), "```go\n"); !strings.HasPrefix(block, "package main"+program2+"```") {
		t.Error("the first block of docs/adapter.md is not examples/go/nethttp/main.go from its package clause on")
	}
}

// start builds a server and returns its address when it serves.
func start(t *testing.T, name, redis string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	c := exec.Command(binary)
	c.Env = append(os.Environ(), "PORT="+port, "REDIS="+redis)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	affinitytest.Eventually(t, name+" serves", func() bool {
		res, err := http.Get("http://127.0.0.1:" + port + "/healthz")
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == 200
	})
	return "127.0.0.1:" + port
}

// client is a session by polling.
type client struct{ url string }

func connect(t *testing.T, addr string) *client {
	t.Helper()
	c := &client{fmt.Sprintf("http://%s/socket.io/?EIO=4&transport=polling", addr)}
	sid := regexp.MustCompile(`"sid":"([^"]+)"`).FindStringSubmatch(c.do(t, "GET", ""))
	if sid == nil {
		t.Fatal("no session")
	}
	c.url += "&sid=" + sid[1]
	c.do(t, "POST", "40")
	if answer := c.do(t, "GET", ""); !strings.HasPrefix(answer, "40") {
		t.Fatalf("not connected: %q", answer)
	}
	return c
}

func (c *client) do(t *testing.T, method, body string) string {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, c.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%s: %d %v %s", method, res.StatusCode, err, text)
	}
	return string(text)
}
