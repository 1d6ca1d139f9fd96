//go:build linux

package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
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

// The units are good for systemd, and let sidway do little more than it needs.
func TestUnits(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"sidway.service", "sidway.socket"} {
		b, err := os.ReadFile("../../deploy/systemd/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "=/usr/local/bin/sidway ", "="+os.Args[0]+" ") // which verify looks for
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	service, socket := filepath.Join(dir, "sidway.service"), filepath.Join(dir, "sidway.socket")
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
