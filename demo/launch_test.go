package main_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// descendants lists the processes that the launcher has started.
func (d *demo) descendants() []int {
	d.t.Helper()
	var pids []int
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, path := range stats {
		stat, _ := os.ReadFile(path) // it may have ended since
		_, behind, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(behind); len(fields) > 1 && fields[1] == strconv.Itoa(d.cmd.Process.Pid) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// gone tells whether a process has ended; one that nobody has waited for yet has.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestItEndsWithAllItsProcesses(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			d := startDemo(t, "", "--node-js", "1")
			children := d.descendants()
			if len(children) != 5 {
				t.Errorf("%d processes, not three nodes and two replicas", len(children))
			}
			d.end(signal)
			for _, pid := range children {
				eventually(t, fmt.Sprintf("process %d has ended", pid), func() bool { return gone(pid) })
			}
			if signal != syscall.SIGKILL && d.cmd.ProcessState.ExitCode() != 0 {
				t.Errorf("%v", d.cmd.ProcessState)
			}
		})
	}
}

func TestWhatItIsAskedFor(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, args := range map[string][]string{
		"at least one node":             {"--nodes", "0"},
		"no more Node.js nodes":         {"--node-js", "4"},
		"needs --redis or REDIS_URL":    {"--node-only"},
		"not a redis:// URL":            {"--node-only", "--redis", "secret"},
		"needs --listen":                {"--node-only", "--redis", "redis://127.0.0.1:1"},
		`"r1" is not name=host:port`:    {"--node-only", "--listen", ":0", "--redis", "redis://127.0.0.1:1", "--replica", "r1"},
		"URL of one server":             {"--redis", "redis+sentinel://127.0.0.1:1/m"},
		"at most 100 nodes":             {"--nodes", "99999999"},
		"cannot be less than 0":         {"--history", "-5"},
		"address already in use":        {"--listen", taken.Addr().String()},
		`"up" is not understood`:        {"up"},
		"flag provided but not defined": {"--unknown"},
		"--node-js n":                   {"--help"},
	} {
		cmd := exec.Command(path, args...)
		cmd.Env = append(os.Environ(), "REDIS_URL=")
		out, err := cmd.CombinedOutput()
		if helped := args[0] == "--help"; (err == nil) != helped || strings.Count(string(out), want) != 1 {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		if strings.Contains(string(out), "secret") {
			t.Errorf("%v tells a secret: %s", args, out)
		}
	}
}

// TestNodeWithoutItsModules says what to do in place of a stack.
func TestNodeWithoutItsModules(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "demo")
	if err := os.CopyFS(filepath.Join(dir, "node"), os.DirFS("node")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--node-js", "1", "--listen", "127.0.0.1:0")
	cmd.Env, cmd.Dir = append(os.Environ(), "REDIS_URL="), dir
	out, err := cmd.CombinedOutput()
	if err == nil || strings.TrimSpace(string(out)) != "demo: --node-js needs its modules: run npm ci at the top of the repository first" {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestOneNodeAndOneReplica(t *testing.T) {
	d := startDemo(t, "", "--nodes", "1", "--replicas", "1")
	if n := len(d.descendants()); n != 2 {
		t.Errorf("%d processes", n)
	}
	resp, err := http.Get(d.url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	u := startUsers(t, usersConfig{URL: d.url, Users: 2, Rooms: 1, Polling: 1})
	u.do("enter", nil, nil)
	u.do("say", map[string]any{"user": 0, "text": "hello"}, nil)
	u.do("hush", nil, nil)
	u.do("settle", nil, nil)
	u.do("leave", nil, nil)
}

// TestImages sends the largest image there may be by polling and by WebSocket, through Go nodes and one on Node.js.
func TestImages(t *testing.T) {
	const most = 1 << 20
	d := startDemo(t, "", "--node-js", "1")
	u := startUsers(t, usersConfig{URL: d.url, Users: 6, Rooms: 1, Polling: 3})
	u.do("enter", nil, nil)
	for user := range 6 {
		var sent struct {
			Key, Digest string
			Refused     []string
		}
		u.do("picture", map[string]any{"user": user, "size": most}, &sent)
		if len(sent.Refused) > 0 {
			t.Errorf("refused: %v", sent.Refused)
		}
		for _, other := range []int{(user + 1) % 6, (user + 3) % 6} {
			var seen struct{ Type, Digest string }
			u.do("look", map[string]any{"user": other, "key": sent.Key}, &seen)
			if seen.Type != "image/png" || seen.Digest != sent.Digest {
				t.Errorf("user %d got another image from user %d: %q", other, user, seen.Type)
			}
		}
		u.do("picture", map[string]any{"user": user, "size": most + 1}, &sent)
		if len(sent.Refused) != 1 || !strings.Contains(sent.Refused[0], "1 MB") {
			t.Errorf("one byte more: %v", sent.Refused)
		}
	}
	u.do("leave", nil, nil)
}
