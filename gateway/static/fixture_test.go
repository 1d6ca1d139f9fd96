package static_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/static"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// secret stands in each file that nobody may get.
const secret = "nobody may read this"

// tree writes files, by their names below a new directory, and returns the directory.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	return dir
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// serve serves until the test ends.
func serve(t testing.TB, dirs ...static.Dir) *static.Server {
	t.Helper()
	return serveWith(t, static.Options{Dirs: dirs})
}

func serveWith(t testing.TB, o static.Options) *static.Server {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	s, err := static.Serve(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.Close(ctx)
	})
	return s
}

// reply is an answer with all of its body.
type reply struct {
	*http.Response
	text string
}

// client sends requests as they are written on one connection.
type client struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &client{conn, t, bufio.NewReader(conn)}
}

// ask sends a request with these further lines and reads the answer: a body that is shorter than announced fails the test.
func (c *client) ask(method, target string, lines ...string) reply {
	c.t.Helper()
	io.WriteString(c, method+" "+target+" HTTP/1.1\r\nHost: files\r\n"+strings.Join(append(lines, ""), "\r\n")+"\r\n")
	return c.read(method)
}

func (c *client) read(method string) reply {
	c.t.Helper()
	r, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatalf("%d, and after %d bytes: %v", r.StatusCode, len(text), err)
	}
	return reply{r, string(text)}
}

// get is ask on a connection of its own.
func get(t testing.TB, s *static.Server, target string, lines ...string) reply {
	t.Helper()
	c := dial(t, s.Addr())
	defer c.Close()
	return c.ask("GET", target, lines...)
}
