package main

import (
	"net"
	"strings"
	"syscall"
	"testing"
)

func TestHealthIsTheReplicasReadiness(t *testing.T) {
	admin := free(t)
	_, port, _ := net.SplitHostPort(admin)
	p := start(t, []string{"SIDWAY_SHUTDOWN_NOTICE=1h"}, "serve", "--node", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--admin", admin)
	p.expect(t, "serving")
	file := write(t, "admin: {listen: '127.0.0.1:1'}\nclusters: [{name: a, nodes: [{name: n, url: 'http://127.0.0.1:1'}]}]\n")
	inEnvironment := []string{"SIDWAY_ADMIN_LISTEN=0.0.0.0:" + port}
	ways := func(want int, says string) {
		t.Helper()
		for _, way := range []struct {
			env  []string
			args []string
		}{
			{none, []string{"health", "--admin", admin}},
			{none, []string{"health", "--admin", ":" + port}},
			{none, []string{"health", "--config", file, "--admin", admin}},
			{inEnvironment, []string{"health"}},
			{inEnvironment, []string{"health", "--config", file}},
		} {
			if status, stdout, stderr := call(t, way.env, way.args...); status != want || !strings.Contains(stdout+stderr, says) {
				t.Errorf("%q: got %d %s%s", way.args, status, stdout, stderr)
			}
		}
	}
	ways(0, `{"status":"ready"}`)
	p.signal(t, syscall.SIGTERM)
	p.expect(t, "stopping")
	ways(1, `answers 503 Service Unavailable: {"status":"not ready"`)
	p.signal(t, syscall.SIGTERM)
	p.end(t)
	ways(1, "connection refused")
}

func TestHealthWithoutAnAdminAddress(t *testing.T) {
	status, _, stderr := call(t, none, "health", "--admin", "off")
	if status != 1 || !strings.Contains(stderr, "admin.listen is off") {
		t.Errorf("got %d %s", status, stderr)
	}
}
