//go:build compose

package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// composeBinary builds compose of tools/compose once.
var composeBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "compose")
	if out, err := exec.Command("go", "-C", "../tools/compose", "build", "-o", path, "github.com/docker/compose/v2/cmd").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// project is what compose runs of a file, by the Docker engine that DOCKER_HOST names, until the test is over.
type project struct {
	t           *testing.T
	program     string
	file        string
	port, admin string
}

// startProject builds the images and starts the services, until all are healthy.
func startProject(t *testing.T, file string, args ...string) *project {
	t.Helper()
	program, err := composeBinary()
	if err != nil {
		t.Fatal(err)
	}
	p := &project{t: t, program: program, file: file, port: freePort(t), admin: freePort(t)}
	began := time.Now()
	p.compose("build")
	t.Logf("built in %.1f s", time.Since(began).Seconds())
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.compose("logs", "--no-color", "--tail", "40"))
		}
		p.compose("down", "-v", "--timeout", "10")
		if left := p.states(); len(left) > 0 {
			t.Errorf("still there: %v", left)
		}
	})
	began = time.Now()
	p.compose(append([]string{"up", "-d", "--no-build", "--wait", "--wait-timeout", "180"}, args...)...)
	t.Logf("healthy in %.1f s: %v", time.Since(began).Seconds(), p.states())
	return p
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// compose runs a command of compose and returns what it prints.
func (p *project) compose(args ...string) string {
	p.t.Helper()
	cmd := exec.Command(p.program, append([]string{"-p", "sidway-test", "-f", p.file, "--progress", "quiet"}, args...)...)
	cmd.Env = append(os.Environ(), "SIDWAY_DEMO_PORT="+p.port, "SIDWAY_ADMIN_PORT="+p.admin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		p.t.Errorf("compose %s: %v\n%s%s", strings.Join(args, " "), err, out, &errs)
		if p.t.Context().Err() == nil {
			p.t.FailNow()
		}
	}
	return string(out)
}

// states tells of each container, by its name without the project's, what it does and how well.
func (p *project) states() map[string]string {
	p.t.Helper()
	states := map[string]string{}
	for line := range strings.Lines(p.compose("ps", "-a", "--format", "json")) {
		var c struct{ Name, State, Health string }
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			p.t.Fatalf("%q: %v", line, err)
		}
		states[strings.TrimPrefix(c.Name, "sidway-test-")] = c.State + " " + c.Health
	}
	return states
}

// healthy waits until this many containers are.
func (p *project) healthy(n int) {
	p.t.Helper()
	eventually(p.t, "all containers are healthy", func() bool {
		all := slices.Collect(maps.Values(p.states()))
		return len(all) == n && !slices.ContainsFunc(all, func(s string) bool { return s != "running healthy" })
	})
}

// places is where each user is, and how often it was cut.
type places struct {
	Nodes, Replicas []string
	Cuts            []int
}

func (u *users) where() (w places) {
	u.t.Helper()
	u.do("where", nil, &w)
	return w
}

// settled is where all users are when each has a node again.
func (u *users) settled() (w places) {
	u.t.Helper()
	eventually(u.t, "every user is on a node", func() bool {
		w = u.where()
		return !slices.Contains(w.Nodes, "")
	})
	return w
}

// ends has users say nothing more and demands that nothing that they said is lost.
func (u *users) ends(t *testing.T) {
	t.Helper()
	u.do("hush", nil, nil)
	u.do("settle", nil, nil)
	var r report
	u.do("report", nil, &r)
	t.Logf("%d messages, all where they belong unless said otherwise", r.check(t))
	u.do("leave", nil, nil)
}

// TestEngineDemo starts docker-compose.yml, and while users of the chat talk, each of its parts is killed or restarted.
func TestEngineDemo(t *testing.T) {
	p := startProject(t, "../docker-compose.yml")
	p.healthy(7)
	u := startUsers(t, usersConfig{URL: "http://127.0.0.1:" + p.port, Users: 12, Rooms: 2, Polling: 4})
	u.do("enter", nil, nil)
	if w := u.settled(); len(slices.Compact(slices.Sorted(slices.Values(w.Nodes)))) != 3 {
		t.Errorf("users are on %v", w.Nodes)
	}
	u.do("talk", map[string]any{"pace": 500}, nil)
	for _, name := range []string{"node-1", "node-2", "node-3", "sidway-1", "sidway-2", "redis"} {
		began := time.Now()
		p.compose("kill", name)
		if name != "redis" { // without it no user has a room to come back to
			u.settled()
		}
		back := time.Since(began)
		p.compose("start", name)
		p.healthy(7)
		u.settled()
		t.Logf("%s killed: every user on a node after %.1f s; all is well after %.1f s", name, back.Seconds(), time.Since(began).Seconds())
	}
	for _, name := range []string{"sidway-1", "front"} {
		began := time.Now()
		p.compose("restart", name)
		p.healthy(7)
		u.settled()
		t.Logf("%s restarted: all is well after %.1f s", name, time.Since(began).Seconds())
	}
	u.ends(t)
}

// found is a node as the API tells it.
type found struct {
	Name, Address, Source string
	Healthy, Ejected      bool
}

// nodes are those that sidway knows, by their names.
func (p *project) nodes() map[string]found {
	p.t.Helper()
	q, err := http.NewRequestWithContext(p.t.Context(), "GET", "http://127.0.0.1:"+p.admin+"/api/status", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer demo") // of scale.sidway.yaml
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var status struct{ Clusters []struct{ Nodes []found } }
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil {
		p.t.Fatal(err)
	}
	nodes := map[string]found{}
	for _, n := range status.Clusters[0].Nodes {
		if n.Source != "discovery" || n.Name != strings.ReplaceAll(n.Address, ":", "-") {
			p.t.Errorf("a node is not named after its address: %+v", n)
		}
		nodes[n.Name] = n
	}
	return nodes
}

// scale has n containers, and returns when sidway knows as many nodes, which it asks DNS for.
func (p *project) scale(n int) map[string]found {
	p.t.Helper()
	began := time.Now()
	p.compose("up", "-d", "--no-build", "--no-recreate", "--timeout", "10", "--scale", fmt.Sprint("chat=", n))
	done := time.Now()
	var nodes map[string]found
	eventually(p.t, fmt.Sprint(n, " nodes"), func() bool {
		nodes = p.nodes()
		return len(nodes) == n
	})
	behind := time.Since(done)
	p.t.Logf("chat=%d: compose took %.1f s, and sidway knew %.1f s later: %v", n, done.Sub(began).Seconds(), behind.Seconds(), slices.Sorted(maps.Keys(nodes)))
	const interval, slack = 5 * time.Second, 3 * time.Second // of scale.sidway.yaml
	if behind > interval+slack {
		p.t.Errorf("that is longer than DNS is asked after")
	}
	// Docker has a container in its DNS before anything listens there, so that a new node is refused at first and probed again.
	eventually(p.t, "all are to be had", func() bool {
		nodes = p.nodes()
		return !slices.ContainsFunc(slices.Collect(maps.Values(nodes)), func(n found) bool { return !n.Healthy || n.Ejected })
	})
	p.t.Logf("all of them were to be had %.1f s after compose had begun", time.Since(began).Seconds())
	return nodes
}

// TestEngineScale: containers of a service come and go, and users talk.
func TestEngineScale(t *testing.T) {
	p := startProject(t, "compose/scale.yaml", "--scale", "chat=2")
	two := p.scale(2)
	url := "http://127.0.0.1:" + p.port
	first := startUsers(t, usersConfig{URL: url, Users: 12, Rooms: 2, Polling: 4, Group: "a"})
	first.do("enter", nil, nil)
	first.do("talk", map[string]any{"pace": 300}, nil)
	before := first.settled()

	four := p.scale(4)
	for name, n := range two {
		if four[name] != n {
			t.Errorf("%s has become %+v", name, four[name])
		}
	}
	second := startUsers(t, usersConfig{URL: url, Users: 12, Rooms: 2, Polling: 4, Group: "b"})
	second.do("enter", nil, nil)
	second.do("talk", map[string]any{"pace": 300}, nil)
	spread := map[string]int{}
	for _, node := range second.settled().Nodes {
		spread[node]++
	}
	for _, node := range before.Nodes {
		delete(spread, node)
	}
	t.Logf("new sessions on the new nodes: %v", spread)
	if len(spread) != 2 {
		t.Errorf("two are new")
	}
	checkStayed(t, before, first.settled(), before.Nodes...)

	beforeFirst, beforeSecond := first.settled(), second.settled()
	one := p.scale(1)
	stays := strings.TrimSpace(p.compose("exec", "-T", "chat", "hostname"))
	for name, n := range one {
		if four[name] != n {
			t.Errorf("the one that stays has become %+v", n)
		}
	}
	t.Logf("%s stays, which has %d of the sessions", stays, checkStayed(t, beforeFirst, first.settled(), stays)+checkStayed(t, beforeSecond, second.settled(), stays))
	for name := range p.scale(2) {
		t.Logf("%s was known before: %t", name, four[name].Name != "")
	}
	first.ends(t)
	second.ends(t)
}

// checkStayed demands that the users of some nodes are there still and were never cut, and returns how many they are.
func checkStayed(t *testing.T, before, after places, nodes ...string) (n int) {
	t.Helper()
	for i, node := range before.Nodes {
		if !slices.Contains(nodes, node) {
			continue
		}
		n++
		if after.Nodes[i] != node || after.Cuts[i] != before.Cuts[i] {
			t.Errorf("user %d of %s was cut %d times and is on %s", i, node, after.Cuts[i]-before.Cuts[i], after.Nodes[i])
		}
	}
	if n == 0 {
		t.Errorf("nobody was on %v: %v", nodes, before.Nodes)
	}
	return n
}
