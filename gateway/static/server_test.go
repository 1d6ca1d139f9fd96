package static_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/static"
)

func TestRefusedDirectories(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a": "x"})
	good := static.Dir{Prefix: "/", Dir: dir}
	s := serve(t, good)
	for _, d := range []static.Dir{
		{Prefix: "/a/", Dir: filepath.Join(dir, "none")},
		{Prefix: "/a/", Dir: filepath.Join(dir, "a")},
		{Prefix: "/a/", Dir: ""},
		{Prefix: "/a", Dir: dir},
		{Prefix: "a/", Dir: dir},
		{Prefix: "", Dir: dir},
	} {
		if other, err := static.Serve(static.Options{Dirs: []static.Dir{d}}); err == nil {
			other.Close(t.Context())
			t.Errorf("%+v is served", d)
		}
		if s.Update([]static.Dir{d}) == nil {
			t.Errorf("%+v is taken", d)
		}
	}
	if r := get(t, s, "/a"); r.text != "x" {
		t.Errorf("after a refused change: %d %q", r.StatusCode, r.text)
	}
}

// A change holds from the next request on, on connections that are kept as well.
func TestUpdate(t *testing.T) {
	t.Parallel()
	s := serve(t, static.Dir{Prefix: "/old/", Dir: tree(t, map[string]string{"a": "old"})})
	c := dial(t, s.Addr())
	if r := c.ask("GET", "/old/a"); r.text != "old" {
		t.Errorf("%d %q", r.StatusCode, r.text)
	}
	if err := s.Update([]static.Dir{{Prefix: "/new/", Dir: tree(t, map[string]string{"a": "new"})}}); err != nil {
		t.Fatal(err)
	}
	if r := c.ask("GET", "/new/a"); r.text != "new" {
		t.Errorf("%d %q", r.StatusCode, r.text)
	}
	if r := c.ask("GET", "/old/a"); r.StatusCode != 404 {
		t.Errorf("%d %q", r.StatusCode, r.text)
	}
}

// A directory is replaced as deployments do it: a link to it gets another target.
func TestReplacedDirectory(t *testing.T) {
	t.Parallel()
	top := tree(t, map[string]string{"1/a": "first", "2/a": "second"})
	current := filepath.Join(top, "current")
	point := func(target string) {
		next := filepath.Join(top, "next")
		if err := os.Symlink(target, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, current); err != nil {
			t.Fatal(err)
		}
	}
	point("1")
	s := serve(t, static.Dir{Prefix: "/", Dir: current})
	if r := get(t, s, "/a"); r.text != "first" {
		t.Errorf("%d %q", r.StatusCode, r.text)
	}
	point("2")
	if r := get(t, s, "/a"); r.text != "second" {
		t.Errorf("%d %q", r.StatusCode, r.text)
	}
	if err := os.Remove(current); err != nil {
		t.Fatal(err)
	}
	if r := get(t, s, "/a"); r.StatusCode != 404 {
		t.Errorf("%d %q", r.StatusCode, r.text)
	}
}

// No more connections than allowed are served at once, and each that ends makes room.
func TestConnections(t *testing.T) {
	t.Parallel()
	var said lines
	s, err := static.Serve(static.Options{
		Dirs:        []static.Dir{{Prefix: "/", Dir: tree(t, map[string]string{"a": "x", "long": strings.Repeat("x", 16<<20)})}},
		Connections: 1, Log: slog.New(slog.NewTextHandler(&said, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	for range 3 { // none is kept without a request
		if r := dial(t, s.Addr()).ask("GET", "/a"); r.text != "x" {
			t.Errorf("%d %q", r.StatusCode, r.text)
		}
	}
	if said.String() != "" {
		t.Error(said.String())
	}
	slow := dial(t, s.Addr())
	io.WriteString(slow, "GET /long HTTP/1.1\r\nHost: files\r\n\r\n")
	if _, err := slow.br.Peek(1); err != nil { // it is being answered
		t.Fatal(err)
	}
	waits := dial(t, s.Addr())
	io.WriteString(waits, "GET /a HTTP/1.1\r\nHost: files\r\n\r\n")
	for !strings.Contains(said.String(), "requests for files wait") {
		time.Sleep(5 * time.Millisecond)
	}
	waits.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := waits.br.Peek(1); err == nil {
		t.Error("one more was served beside the one that there may be")
	}
	waits.SetReadDeadline(time.Now().Add(patience))
	slow.Close()
	if r := waits.read("GET"); r.text != "x" {
		t.Errorf("%d %q", r.StatusCode, r.text)
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Close lets what is being sent come to its end, and serves nobody any more, a client that waits for room included.
func TestClose(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 1<<20)
	s, err := static.Serve(static.Options{
		Dirs:        []static.Dir{{Prefix: "/", Dir: tree(t, map[string]string{"a": long})}},
		Connections: 1, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, s.Addr())
	io.WriteString(c, "GET /a HTTP/1.1\r\nHost: files\r\n\r\n")
	if _, err := c.br.Peek(1); err != nil { // it is being answered
		t.Fatal(err)
	}
	waits := dial(t, s.Addr())
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.Close(context.Background())
	}()
	io.Copy(io.Discard, waits) // its end tells that the listener is closed
	if r := c.read("GET"); r.text != long {
		t.Errorf("%d bytes of %d", len(r.text), len(long))
	}
	<-closed
	if conn, err := net.Dial("tcp", s.Addr()); err == nil {
		conn.Close()
		t.Error("somebody still listens")
	}
}

// Close cuts what is not read by anybody when its time is over.
func TestCloseInTime(t *testing.T) {
	t.Parallel()
	s := serve(t, static.Dir{Prefix: "/", Dir: tree(t, map[string]string{"a": strings.Repeat("x", 16<<20)})})
	c := dial(t, s.Addr())
	io.WriteString(c, "GET /a HTTP/1.1\r\nHost: files\r\n\r\n")
	if _, err := c.br.Peek(1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Close(ctx)
	if n, _ := io.Copy(io.Discard, c.br); n > 16<<20 {
		t.Error("all of it came")
	}
}

// A directory that is gone is told of once, however many ask for its files, and once when it is back.
func TestDirectoryThatIsGone(t *testing.T) {
	t.Parallel()
	var said lines
	dir := tree(t, map[string]string{"a": "x"})
	s, err := static.Serve(static.Options{Dirs: []static.Dir{{Prefix: "/", Dir: dir}}, Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	for n := 1; n <= 2; n++ {
		for _, step := range []struct {
			from, to string
			status   int
			gone     int
			back     int
		}{{dir, dir + "-away", 404, n, n - 1}, {dir + "-away", dir, 200, n, n}} {
			if err := os.Rename(step.from, step.to); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if r := get(t, s, "/a"); r.StatusCode != step.status {
					t.Errorf("got %d", r.StatusCode)
				}
			}
			if gone, back := strings.Count(said.String(), "not to be had"), strings.Count(said.String(), "is back"); gone != step.gone || back != step.back {
				t.Errorf("told %d times that it is gone, and %d times that it is back:\n%s", gone, back, said.String())
			}
		}
	}
}
