package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/config"
)

// servePage serves a page of that many bytes.
func servePage(t *testing.T, size int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", size)) }))
	t.Cleanup(s.Close)
	return s.URL
}

// TestAccessLogIsReopened moves the file away, again and again, as logrotate does while requests come. No line is lost or broken.
func TestAccessLogIsReopened(t *testing.T) {
	dir, listen := t.TempDir(), free(t)
	file := filepath.Join(dir, "access.log")
	p := start(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s", "SIDWAY_LOG_ACCESS=" + file, "SIDWAY_LOG_ACCESS_FORMAT=json"},
		"serve", "--node", servePage(t, 10), "--listen", listen, "--admin", "off")
	p.expect(t, "serving")
	const each, turns = 25, 8
	for turn := range turns {
		var asked sync.WaitGroup
		for i := range each {
			asked.Go(func() { get(t, fmt.Sprintf("http://%s/%d", listen, turn*each+i)) })
		}
		if err := os.Rename(file, fmt.Sprintf("%s.%d", file, turn)); err != nil {
			t.Fatal(err)
		}
		p.signal(t, syscall.SIGUSR1)
		p.expect(t, `msg="access log opened again" file=`+file)
		asked.Wait()
	}
	get(t, "http://"+listen+"/last")
	p.signal(t, syscall.SIGTERM)
	p.end(t)
	all, seen := "", map[string]int{}
	for turn := range turns {
		b, _ := os.ReadFile(fmt.Sprintf("%s.%d", file, turn))
		all += string(b)
	}
	last, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(last), `"path":"/last"`) {
		t.Errorf("the last line is not in the last file: %s, %v", last, err)
	}
	all += string(last)
	for line := range strings.Lines(all) {
		var l struct{ Msg, Path string }
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Msg != "request" {
			t.Fatalf("%q: %v", line, err)
		}
		seen[l.Path]++
	}
	for i := range each * turns {
		if n := seen[fmt.Sprintf("/%d", i)]; n != 1 {
			t.Errorf("request %d has %d lines", i, n)
		}
	}
}

// TestAccessLogFollowsTheSettings goes from standard output to a file and to the log, and stays where it is when it cannot go on.
func TestAccessLogFollowsTheSettings(t *testing.T) {
	dir, listen := t.TempDir(), free(t)
	file, lines := filepath.Join(dir, "sidway.yaml"), filepath.Join(dir, "access.log")
	write := func(log string) {
		text := fmt.Sprintf("listen: %s\nadmin: {listen: off}\nshutdown: {notice: 0s}\nclusters: [{name: chat, nodes: [%q]}]\n%s\n", listen, servePage(t, 10), log)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log: {access: stdout}")
	p := startCommand(t, []string{"OUT=" + filepath.Join(dir, "stdout")}, "/bin/sh", "-c", `exec "$0" serve --config `+file+` >"$OUT"`, os.Args[0])
	p.expect(t, "serving")
	get(t, "http://"+listen+"/first")
	p.signal(t, syscall.SIGUSR1) // which changes nothing
	get(t, "http://"+listen+"/second")
	reload := func(log, said string) {
		t.Helper()
		write(log)
		p.signal(t, syscall.SIGHUP)
		p.expect(t, said)
	}
	reload("log: {access: "+lines+", access_format: combined}", "configuration reloaded")
	get(t, "http://"+listen+"/third")
	reload("log: {access: "+dir+"}", "log.access: ")
	reload("access_log: true", "configuration reloaded")
	get(t, "http://"+listen+"/fourth")
	p.expect(t, "path=/fourth")
	p.signal(t, syscall.SIGTERM)
	p.end(t)
	for name, want := range map[string]string{"stdout": `path=/first .*\n.* path=/second [^\n]*\n$`, "access.log": `"GET /third HTTP/1.1" 200 [^\n]*\n$`} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); !regexp.MustCompile(want).Match(b) {
			t.Errorf("%s has %q, %v", name, b, err)
		}
	}
}

// TestServeSaysThatTheAccessLogCannotBeOpened at start, and not when the first line is written.
func TestServeSaysThatTheAccessLogCannotBeOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	if err := mayOpen(config.Log{Access: file}); err != nil {
		t.Error(err)
	}
	if err := os.Remove(file); err != nil {
		t.Error(err)
	}
	a := newAccessLog(slog.New(slog.DiscardHandler), io.Discard)
	if err := a.follow(config.Log{Access: filepath.Join(file, "below")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestAccessLogOnAFullDisk has the log tell of it once, with the file and the reason, and nobody wait.
func TestAccessLogOnAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Fatal("this test writes to /dev/full, which Linux and some others have")
	}
	var log bytes.Buffer
	a := newAccessLog(slog.New(slog.NewTextHandler(&log, nil)), io.Discard)
	if err := a.follow(config.Log{Access: "/dev/full"}); err != nil {
		t.Fatal(err)
	}
	access := slog.New(a)
	for i := range 10 * logQueueLines {
		access.Info("request", "path", i)
	}
	a.close()
	access.Info("request", "path", "after the end")
	if got := log.String(); strings.Count(got, "lines of the access log are lost") != 1 || !strings.Contains(got, "/dev/full: no space left on device") || a.lost() != 10*logQueueLines {
		t.Errorf("%d lines of %d are lost, logged %q", a.lost(), 10*logQueueLines, got)
	}
}

// unwell is a writer that fails while it is full.
type unwell struct{ full atomic.Bool }

func (u *unwell) Write(p []byte) (int, error) {
	if u.full.Load() {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

// TestAccessLogThatIsWrittenAgain has the log tell when lines begin to be lost, and of how many there were when that is over, each time.
func TestAccessLogThatIsWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var out unwell
		a := newAccessLog(slog.New(slog.NewTextHandler(&log, nil)), &out)
		if err := a.follow(config.Log{Access: config.Stdout}); err != nil {
			t.Fatal(err)
		}
		write := func(lines int) {
			for range lines {
				slog.New(a).Info("request")
				time.Sleep(time.Second)
			}
		}
		for range 2 {
			log.Reset()
			out.full.Store(true)
			write(30)
			out.full.Store(false)
			write(30)
			if got := log.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, `level=WARN msg="lines of the access log are lost: they cannot be written" error="no space left on device"`) ||
				!strings.Contains(got, `level=INFO msg="the access log loses no lines any more" lines=30`) {
				t.Errorf("logged %q", got)
			}
		}
		a.close()
	})
}

func TestCombinedFormat(t *testing.T) {
	var out strings.Builder
	log := slog.New(combinedHandler{&out})
	at := regexp.MustCompile(`\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]`)
	for _, tt := range []struct {
		msg   string
		attrs []any
		want  string
	}{
		{
			"request",
			[]any{
				"client", "192.0.2.7", "request_id", "r1", "method", "GET", "host", "h", "path", `/a "b`, "protocol", "HTTP/1.1", "kind", "poll", "cluster", "chat", "node", "n1",
				"sid", "Ab3d…", "referer", "https://h/p", "user_agent", "Mozilla \"x\"\\ \x7fé", "status", 200, "bytes", 118, "took", "3.12ms", "overhead", "41µs",
			},
			`192.0.2.7 - - [] "GET /a \"b HTTP/1.1" 200 118 "https://h/p" "Mozilla \"x\"\\ \x7f\xc3\xa9" request_id=r1 kind=poll cluster=chat node=n1 sid=Ab3d took=0.003120 overhead=0.000041` + "\n",
		},
		{"request", []any{"client", "192.0.2.7", "status", 400, "reason", "bad_head"}, `192.0.2.7 - - [] "-" 400 - "-" "-" reason=bad_head` + "\n"},
		{"request", []any{"client", "192.0.2.7", "method", "GET", "path", "/", "protocol", "HTTP/1.1", "status", 101, "bytes", 5}, ""},
		{
			"websocket ended",
			[]any{
				"client", "::1", "method", "GET", "path", "/", "protocol", "HTTP/1.1", "cause", "client_closed", "bytes_from_client", 7, "bytes_to_client", 9, "took", "1m30s",
			},
			`::1 - - [] "GET / HTTP/1.1" 101 9 "-" "-" took=90.000000 bytes_from_client=7 cause=client_closed` + "\n",
		},
	} {
		out.Reset()
		log.Info(tt.msg, tt.attrs...)
		if got := at.ReplaceAllString(out.String(), "[]"); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
