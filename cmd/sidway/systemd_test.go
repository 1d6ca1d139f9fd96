//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manager is the end of NOTIFY_SOCKET that systemd has.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func startManager(t *testing.T) (m *manager, env string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manager{t, conn}, "NOTIFY_SOCKET=" + path
}

// hears returns the next message that is not the watchdog's, and demands that it has these words.
func (m *manager) hears(words ...string) {
	m.t.Helper()
	b := make([]byte, 4<<10)
	m.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		n, err := m.conn.Read(b)
		if err != nil {
			m.t.Fatalf("%q was not told: %v", words, err)
		}
		text := string(b[:n])
		if text == "WATCHDOG=1" && words[0] != text {
			continue
		}
		for _, w := range words {
			if !strings.Contains(text, w) {
				m.t.Fatalf("told %q without %q", text, w)
			}
		}
		return
	}
}

// systemd opens both addresses, starts sidway with the first connection, and is told what becomes of it. The sockets stay when
// the settings are read again.
func TestSystemd(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page") }))
	defer node.Close()
	file, listen, admin := filepath.Join(t.TempDir(), "sidway.yaml"), free(t), free(t)
	write := func(more string) {
		text := fmt.Sprintf("listen: 192.0.2.1:80\nadmin: {listen: 192.0.2.1:90}\nclusters:\n  - {name: chat, nodes: [{name: n1, url: %q}]}\nshutdown: {notice: 0s, deadline: 95s}\n%s", node.URL, more)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	m, env := startManager(t)
	p := startCommand(t, []string{env, "WATCHDOG_USEC=20000"}, "systemd-socket-activate",
		"--fdname=sidway.socket:admin", "-l", listen, "-l", admin, "-E", "TEST_IS_SIDWAY", "-E", "GORACE", "-E", "NOTIFY_SOCKET", "-E", "WATCHDOG_USEC",
		os.Args[0], "serve", "--config", file)
	p.expect(t, "Listening on "+admin)
	served := func() {
		t.Helper()
		if status, body := get(t, "http://"+listen+"/"); status != 200 || body != "page" {
			t.Errorf("got %d %s", status, body)
		}
		if status, body := get(t, "http://"+admin+"/readyz"); status != 200 {
			t.Errorf("got %d %s", status, body)
		}
	}
	served()
	m.hears("READY=1", "serving on ["+listen+"], admin on "+admin)
	for range 3 {
		m.hears("WATCHDOG=1")
	}
	write("access_log: true\n")
	p.signal(t, syscall.SIGHUP)
	m.hears("RELOADING=1", "MONOTONIC_USEC=")
	m.hears("READY=1", "reload applied")
	served()
	write("nonsense: true\n")
	p.signal(t, syscall.SIGHUP)
	m.hears("RELOADING=1")
	m.hears("READY=1", "reload refused")
	served()
	p.signal(t, syscall.SIGTERM)
	m.hears("STOPPING=1", "EXTEND_TIMEOUT_USEC=100000000")
	if state := p.end(t); state.ExitCode() != 0 {
		t.Errorf("got %v", state)
	}
}

// What systemd has opened goes on to the successor, by the names that it has, and systemd is told which process is the one to watch.
func TestSystemdFollowsASuccessor(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page") }))
	defer node.Close()
	listen, admin := free(t), free(t)
	m, env := startManager(t)
	f := &family{process: startCommand(t, []string{env, "WATCHDOG_USEC=1000000", "SIDWAY_SHUTDOWN_DEADLINE=1s"}, "/bin/sh", "-c", `WATCHDOG_PID=$$ exec "$@"`, "sh", "systemd-socket-activate",
		"--fdname=web:admin", "-l", listen, "-l", admin, "-E", "TEST_IS_SIDWAY", "-E", "GORACE", "-E", "NOTIFY_SOCKET", "-E", "WATCHDOG_USEC",
		"-E", "WATCHDOG_PID", "-E", "SIDWAY_SHUTDOWN_DEADLINE", os.Args[0], "serve", "--node", node.URL, "--listen", "fd:web", "--admin", "192.0.2.1:90")}
	f.expect(t, "Listening on "+admin)
	get(t, "http://"+listen+"/")
	m.hears("READY=1")
	f.expect(t, "msg=serving")
	pid, connects := f.cmd.Process.Pid, connecting(t, "tcp", listen)
	for range 2 {
		pid = f.succeed(t, pid)
		m.hears(fmt.Sprintf("MAINPID=%d", pid))
		m.hears("READY=1", "serving on ["+listen+"], admin on "+admin)
		m.hears("WATCHDOG=1")
		if status, body := get(t, "http://"+admin+"/readyz"); status != 200 {
			t.Errorf("got %d %s", status, body)
		}
	}
	connects()
}

// A container would end with its first process, so that has no successor.
func TestTheFirstProcessHasNoSuccessor(t *testing.T) {
	f := &family{process: startCommand(t, nil, "unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "/bin/sh", "-c",
		`exec "$@"`, "sh", os.Args[0], "serve", "--admin", "off", "--node", "http://127.0.0.1:1", "--listen", "127.0.0.1:0")}
	f.expect(t, "msg=serving")
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", f.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	f.expect(t, "no successor has taken over")
	if line := f.log.Text(); !strings.Contains(line, "this is process 1") {
		t.Error(line)
	}
}

func TestSystemdOpensOneAdminAddress(t *testing.T) {
	p := startCommand(t, nil, "systemd-socket-activate", "--fdname=admin:admin", "-l", free(t), "-l", free(t),
		"-E", "TEST_IS_SIDWAY", "-E", "GORACE", os.Args[0], "serve", "--node", "http://127.0.0.1:1")
	p.expect(t, "Listening on ")
	p.expect(t, "Listening on ")
	address := ""
	for _, a := range p.cmd.Args {
		if strings.HasPrefix(a, "127.") {
			address = a
		}
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p.expect(t, "several sockets called admin")
	if state := p.end(t); state.ExitCode() != 1 {
		t.Errorf("got %v", state)
	}
}

// The units are good for systemd, with what they leave to choose too, and let sidway do little more than it needs.
func TestUnits(t *testing.T) {
	b, err := os.ReadFile("../../deploy/systemd/sidway.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := strings.ReplaceAll(string(b), "=/usr/local/bin/sidway ", "="+os.Args[0]+" ") // which verify looks for
	for _, needed := range []string{"\nStateDirectory=sidway\n", "\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n", "\n#SupplementaryGroups=", "\n#LoadCredential="} {
		if !strings.Contains(unit, needed) {
			t.Errorf("there is no %q", needed)
		}
	}
	socket, err := filepath.Abs("../../deploy/systemd/sidway.socket")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{unit, regexp.MustCompile(`(?m)^#(\w+=)`).ReplaceAllString(unit, "$1")} {
		service := filepath.Join(t.TempDir(), "sidway.service")
		if err := os.WriteFile(service, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"verify", "--man=no", service, socket},
			{"security", "--offline=true", "--threshold=20", "--no-pager", service},
		} {
			out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
			if err != nil || args[0] == "verify" && len(out) > 0 {
				t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
			}
		}
	}
}

// The hook for certbot that the documentation has gives a group copies of a key that only root may read, and new ones in their place.
func TestTheHookForCertbot(t *testing.T) {
	page, err := os.ReadFile("../../docs/certificates.md")
	if err != nil {
		t.Fatal(err)
	}
	hook := regexp.MustCompile("(?s)```sh\n(.*?)```").FindSubmatch(page)
	group, err := user.LookupGroupId(strconv.Itoa(os.Getgid()))
	if hook == nil || err != nil {
		t.Fatal("no hook: ", err)
	}
	dir := t.TempDir()
	text := strings.NewReplacer("/etc/sidway/tls", dir+"/tls", "sidway-tls", group.Name).Replace(string(hook[1]))
	live := filepath.Join(dir, "live", "chat.example.com")
	if err := os.MkdirAll(live, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"first", "renewed"} {
		for _, name := range []string{"fullchain.pem", "privkey.pem"} {
			archived := filepath.Join(dir, content+name) // certbot's live files are links
			_ = os.Remove(filepath.Join(live, name))
			if err := errors.Join(os.WriteFile(archived, []byte(content+name), 0o600), os.Symlink(archived, filepath.Join(live, name))); err != nil {
				t.Fatal(err)
			}
		}
		c := exec.Command("/bin/sh", "-c", text)
		c.Env = append(os.Environ(), "RENEWED_LINEAGE="+live)
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%v %s", err, out)
		}
		for name, mode := range map[string]os.FileMode{"": os.ModeDir | 0o750, "fullchain.pem": 0o640, "privkey.pem": 0o640} {
			path := filepath.Join(dir, "tls", "chat.example.com", name)
			got, _ := os.ReadFile(path)
			info, err := os.Lstat(path)
			if err != nil || info.Mode() != mode || name != "" && string(got) != content+name {
				t.Errorf("%s: %v, %v, %s", path, err, info, got)
			}
		}
	}
}
