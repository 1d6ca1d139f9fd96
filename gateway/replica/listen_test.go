package replica_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
	"github.com/sidway/sidway/gateway/replica"
)

// ask asks for a page at an address, and returns the status, 0 where nobody listens.
func ask(t *testing.T, network, address string) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
	resp, err := client.Get("http://chat.example.com/")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// pageSettings returns a configuration for a node with a page, whose clients come by these.
func pageSettings(t *testing.T, listen ...config.Listener) *config.Config {
	t.Helper()
	cfg := settings()
	cfg.Clusters[0].Nodes = []config.Node{{Name: "n1", URL: named(t, "page").URL, Weight: 1}}
	cfg.Listen = listen
	return cfg
}

func unixListener(t *testing.T) (l config.Listener, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	return config.Listener{Address: "unix:" + path}, path
}

// A list of listeners that changes is followed: those that stay keep their connections and their waiting clients.
func TestListenersFollowTheConfiguration(t *testing.T) {
	tcp := config.Listener{Address: "127.0.0.1:0"}
	first, a := unixListener(t)
	second, b := unixListener(t)
	r := startReloading(t, pageSettings(t, tcp, first, config.Listener{Address: "[::1]:0"}))
	stays, goes := r.Addrs()[0].String(), r.Addrs()[2].String()
	kept, err := net.Dial("unix", a)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	if got := ask(t, "unix", a); got != 200 {
		t.Errorf("the first socket: %d", got)
	}
	r.must(func(c *config.Config) { c.Listen = []config.Listener{second, tcp} })
	if got := ask(t, "unix", b); got != 200 {
		t.Errorf("the new socket: %d", got)
	}
	if got := ask(t, "tcp", stays); got != 200 || r.Addrs()[1].String() != stays {
		t.Errorf("the address that stays: %d, of %v", got, r.Addrs())
	}
	if one, other := ask(t, "unix", a), ask(t, "tcp", goes); one != 0 || other != 0 {
		t.Errorf("those that went: %d and %d", one, other)
	}
	if _, err := os.Lstat(a); !os.IsNotExist(err) {
		t.Errorf("the file of the socket that went: %v", err)
	}
	second.ProxyProtocol, second.Mode = true, 0o640
	r.must(func(c *config.Config) { c.Listen = []config.Listener{second, tcp} })
	if got := ask(t, "unix", b); got != 0 {
		t.Errorf("a socket that wants a header now, without one: %d", got)
	}
	if info, err := os.Stat(b); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info, err)
	}
	io.WriteString(kept, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if said, err := io.ReadAll(kept); err != nil || !strings.Contains(string(said), "200") {
		t.Errorf("a connection that came by the socket that went: %q %v", said, err)
	}
}

// Where one of the listeners cannot be had, none changes.
func TestListenersThatCannotBeHad(t *testing.T) {
	tcp := config.Listener{Address: "127.0.0.1:0"}
	more, path := unixListener(t)
	r := startReloading(t, pageSettings(t, tcp))
	taken := r.AdminAddr().String()
	if err := r.change(func(c *config.Config) { c.Listen = []config.Listener{more, {Address: taken}} }); err == nil ||
		!strings.Contains(err.Error(), "address already in use") || !strings.Contains(err.Error(), "take that one out first") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("a socket is left: %v", err)
	}
	if got := ask(t, "tcp", r.Addrs()[0].String()); got != 200 {
		t.Errorf("got %d", got)
	}
}

// The file of a Unix socket is there for as long as the replica listens, with the mode that it was given, and what a dead process has
// left is replaced.
func TestUnixSocket(t *testing.T) {
	l, path := unixListener(t)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l.Mode = 0o662
	r := start(t, pageSettings(t, l))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o662 {
		t.Errorf("%v %v", info, err)
	}
	if got := ask(t, "unix", path); got != 200 {
		t.Errorf("got %d", got)
	}
	if _, err := replica.New(pageSettings(t, l), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "a process listens on "+path+" already") {
		t.Errorf("a second process: %v", err)
	}
	if got := ask(t, "unix", path); got != 200 {
		t.Errorf("after a second process: %d", got)
	}
	r.stop()
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file is left: %v", err)
	}
}

// A file that is another's is left alone.
func TestUnixSocketOfAnother(t *testing.T) {
	l, path := unixListener(t)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := replica.New(pageSettings(t, l), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), path+" is there already and is no socket") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Error(err)
	}
	r := start(t, pageSettings(t, l))
	if err := os.Remove(path); err != nil {
		t.Error(err)
	}
	next, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	r.stop()
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the next process's socket: %v", err)
	}
}

// Sockets of systemd are told apart by their names, and none is served, or left aside, by mistake.
func TestSocketsByName(t *testing.T) {
	open := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	web, more, other := open(), open(), open()
	given := replica.Sockets{Listen: map[string][]net.Listener{"web": {web, more}, "other": {other}}}
	free := config.Listener{Address: "127.0.0.1:0"}
	unixOne, _ := unixListener(t)
	unixOne.Mode = 0o600
	for want, listen := range map[string][]config.Listener{
		`systemd has opened no socket called wep, but ["other" "web"]`:                             {config.Inherit("wep")},
		`systemd has opened the sockets ["other"], which are not in the list`:                      {config.Inherit("web"), free},
		`systemd has opened the sockets ["other" "web"], and it is unclear which of them is unix:`: {unixOne},
	} {
		if _, err := replica.NewOn(given, pageSettings(t, listen...), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	cfg := pageSettings(t, free, config.Inherit("other"), config.Inherit("web"))
	rep, err := replica.NewOn(given, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	next := *cfg
	next.Listen = cfg.Listen[1:]
	rep.Load = func() (*config.Config, error) { return &next, nil }
	r := run(t, rep)
	awaitReady(t, r)
	if err := rep.Reload("a test"); err != nil {
		t.Error(err)
	}
	if len(r.Addrs()) != 3 {
		t.Errorf("serves on %v", r.Addrs())
	}
	for _, l := range []net.Listener{web, more, other} {
		if got := ask(t, "tcp", l.Addr().String()); got != 200 {
			t.Errorf("%s: %d", l.Addr(), got)
		}
	}
}

// A listener speaks TLS with the certificates of the configuration, from the first connection on that comes after it was told to.
func TestListenerWithTLS(t *testing.T) {
	a, l := keyfiletest.NewAuthority(t, "a"), config.Listener{Address: "127.0.0.1:0"}
	now := time.Now()
	cert, key := a.Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}, From: now.AddDate(0, -1, 0), To: now.AddDate(0, 1, 0)}).Write(t, t.TempDir(), "a")
	cfg := pageSettings(t, l)
	cfg.TLS.Certificates = []config.Certificate{{Cert: cert, Key: key}}
	cfg.TLS.HSTS = time.Hour
	r := startReloading(t, cfg)
	address := r.Addrs()[0].String()
	secure := func() (header http.Header, err error) {
		client := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{ServerName: "a.example.com", InsecureSkipVerify: true},
		}}
		resp, err := client.Get("https://" + address)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.Header, nil
	}
	if got := ask(t, "tcp", address); got != 200 {
		t.Errorf("in the clear: %d", got)
	}
	l.TLS = true
	r.must(func(c *config.Config) { c.Listen = []config.Listener{l} })
	if h, err := secure(); err != nil || h.Get("Strict-Transport-Security") != "max-age=3600" {
		t.Errorf("by TLS: %v %v", h, err)
	}
	if got := ask(t, "tcp", address); got != 400 {
		t.Errorf("in the clear, to a port for TLS: %d", got)
	}
}
