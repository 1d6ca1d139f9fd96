package e2e_test

import (
	"fmt"
	"os/exec"
	"strconv"
	"testing"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// startPython starts a program that needs python-socketio, aiohttp and redis beside the Python of the system, as Debian has them.
func startPython(t *testing.T, redis *affinitytest.Redis, name string) *node {
	t.Helper()
	address := freeAddress(t)
	p := start(t, command{
		name: name, argv: []string{"/usr/bin/python3", "testdata/node.py"},
		env: []string{"NAME=" + name, "PORT=" + portOf(address), "REDIS_URL=" + redis.URL()},
	})
	p.listens(t, address)
	port, err := strconv.Atoi(portOf(address))
	if err != nil {
		t.Fatal(err)
	}
	return &node{process: p, name: name, port: port}
}

// Nodes and clients that share no code with the reference ones: all clients of a chat hear what each of them says, in each transport, through
// three replicas that get connections in turn.
func TestPython(t *testing.T) {
	python := func(t *testing.T, url string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/client.py", url).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	onNode := func(t *testing.T, redis *affinitytest.Redis, name string) *node {
		t.Helper()
		address := freeAddress(t)
		startScript(t, "../examples/node/server.mjs", address, "NAME="+name, "REDIS_URL="+redis.URL())
		port, err := strconv.Atoi(portOf(address))
		if err != nil {
			t.Fatal(err)
		}
		return &node{name: name, port: port}
	}
	for name, c := range map[string]struct {
		start func(*testing.T, *affinitytest.Redis, string) *node
		talk  func(*testing.T, string)
	}{
		"nodes":   {startPython, func(t *testing.T, url string) { t.Helper(); say(t, url, "") }},
		"clients": {onNode, python}, "both": {startPython, python},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{redis: affinitytest.StartRedis(t)}
			for i := range 2 {
				s.nodes = append(s.nodes, c.start(t, s.redis, fmt.Sprint("n", i+1)))
			}
			var listens []string
			for range 3 {
				r := startReplica(t, s.redis.URL(), s.nodes)
				s.replicas, listens = append(s.replicas, r), append(listens, r.listen)
			}
			s.front = startFront(t, listens...)
			c.talk(t, s.front.url())
			for _, r := range s.replicas {
				requests := 0
				for _, kind := range []string{"handshake", "poll", "post", "upgrade", "direct_connect"} {
					requests += r.metric(t, `sidway_requests_total{cluster="chat",kind="`+kind+`"}`)
				}
				if requests == 0 {
					t.Errorf("%s has had no request", r.name)
				}
			}
		})
	}
}
