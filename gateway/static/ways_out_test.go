package static_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sidway/sidway/gateway/static"
)

// guarded is a directory beside which, in which and behind whose links lies what nobody may get, and one file, in/ok.txt.
func guarded(t testing.TB) static.Dir {
	t.Helper()
	top := tree(t, map[string]string{
		"secret.txt": secret, "public-secret/secret.txt": secret, "public/in/ok.txt": "fine", "public/index.html": "fine",
		"public/.env": secret, "public/.git/config": secret, "public/in/.htpasswd": secret, "public/...": secret,
		"public/in/ok.txt.br": "fine",
	})
	public := filepath.Join(top, "public")
	for link, target := range map[string]string{
		"file": "../secret.txt", "dir": "..", "root": "/", "absolute": filepath.Join(top, "secret.txt"), "twice": "in/up", "in/up": "../..",
		"in/ok.txt.gz": "../../secret.txt", "loop": "loop", "within": "in/ok.txt", "proc": "/proc/self",
	} {
		if err := os.Symlink(target, filepath.Join(public, link)); err != nil {
			t.Fatal(err)
		}
	}
	return static.Dir{Prefix: "/p/", Dir: public}
}

// waysOut are targets as they stand in a request.
var waysOut = []string{
	"/p/../secret.txt", "/p/in/../../secret.txt", "/p/./../secret.txt", "/p/..", "/p/../", "/p/in/../../", "/../secret.txt",
	"/p/%2e%2e/secret.txt", "/p/%2E%2E/secret.txt", "/p/.%2e/secret.txt", "/p/%2e./secret.txt", "/p/..%2fsecret.txt", "/p/%2e%2e%2fsecret.txt",
	"/p/in%2f..%2f..%2fsecret.txt", "/p/%252e%252e/secret.txt", "/p/%252e%252e%252fsecret.txt", "/p/..%252fsecret.txt",
	"/p/..%c0%afsecret.txt", "/p/%c0%ae%c0%ae/secret.txt", "/p/%e0%80%ae%e0%80%ae/secret.txt", "/p/%uff0e%uff0e/secret.txt", "/p/\uff0e\uff0e/secret.txt",
	`/p/..\secret.txt`, "/p/..%5csecret.txt", "/p/%2e%2e%5csecret.txt", "/p/in%5c..%5c..%5csecret.txt",
	"/p/....//secret.txt", "/p/..../secret.txt", "/p/.../...//secret.txt", "/p/..;/secret.txt", "/p/..%00/secret.txt", "/p/..%20/secret.txt",
	"/p/%00../secret.txt", "/p/../secret.txt%00.html", "/p/in/ok.txt%00/../../../secret.txt", "/p/..?/secret.txt", "/p/..#/secret.txt",
	"/p/..%0d%0a/secret.txt", "/p/..%09/secret.txt", "/p../secret.txt", "/p-secret/secret.txt", "/p/../public-secret/secret.txt",
	"/p//../secret.txt", "/p///secret.txt", "//p/../secret.txt", "/p//etc/passwd", "/p/%2fetc/passwd", "/p//%2e%2e/secret.txt",
	"/p/file", "/p/dir/secret.txt", "/p/root/etc/passwd", "/p/absolute", "/p/twice/secret.txt", "/p/in/up/secret.txt", "/p/loop",
	"/p/proc/environ", "/p/proc/cwd/secret.txt", "/p/file/", "/p/dir", "/p/dir/", "/p/dir/public-secret",
	"/p/.env", "/p/%2eenv", "/p/.git/config", "/p/%2egit/config", "/p/in/.htpasswd", "/p/in%2f.htpasswd", "/p/...", "/p/.", "/p/in/.",
	"/p/in/ok.txt/.", "/p/in/ok.txt/..", "/p/in/ok.txt/../.htpasswd", "/p/file::$DATA", "/p/C:/secret.txt", "/p/~root/secret.txt",
	"http://files/p/../secret.txt", "http://files/p/%2e%2e/secret.txt", "file:///p/../secret.txt", "*", "/", "",
}

// check asks for a target and reports what came that must not.
func checkWayOut(t *testing.T, s *static.Server, target string) {
	t.Helper()
	c := dial(t, s.Addr())
	defer c.Close()
	io.WriteString(c, "GET "+target+" HTTP/1.1\r\nHost: files\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Errorf("%q: %v", target, err)
		return
	}
	body, _ := io.ReadAll(r.Body)
	if strings.Contains(string(body), secret) || strings.Contains(string(body), "root:") || r.StatusCode < 400 {
		t.Errorf("%q: %d %.100q", target, r.StatusCode, body)
	}
}

func TestNoWayOut(t *testing.T) {
	t.Parallel()
	s := serve(t, guarded(t))
	for _, target := range waysOut {
		checkWayOut(t, s, target)
	}
	for _, target := range []string{"/p/in/ok.txt", "/p/within", "/p/", "/p/%69n/ok%2Etxt", "/p/in%2fok.txt"} {
		if r := get(t, s, target); r.StatusCode != 200 || r.text != "fine" {
			t.Errorf("%s: %d %q", target, r.StatusCode, r.text)
		}
	}
	// a coded file that is a link to elsewhere
	if r := get(t, s, "/p/in/ok.txt", "Accept-Encoding: gzip"); r.StatusCode != 200 || r.text != "fine" || r.Header.Get("Content-Encoding") != "" {
		t.Errorf("%d %q", r.StatusCode, r.text)
	}
}

// What is no file is not opened as one: a pipe would be waited for.
func TestNoFile(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a": "plain"})
	for _, name := range []string{"pipe", "a.br", "d/index.html"} {
		os.Mkdir(filepath.Join(dir, "d"), 0o755)
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, static.Dir{Prefix: "/", Dir: dir})
	for target, status := range map[string]int{"/pipe": 404, "/d/": 404, "/a": 200} {
		if r := get(t, s, target, "Accept-Encoding: br"); r.StatusCode != status {
			t.Errorf("%s: %d", target, r.StatusCode)
		}
	}
}

// FuzzPath looks for a path, an Accept-Encoding and a Range that lead out, or to an answer that is no answer.
func FuzzPath(f *testing.F) {
	for _, target := range waysOut {
		f.Add(target, "gzip, br;q=0.5", "bytes=0-1")
	}
	f.Add("/p/in/ok.txt", "*", "")
	h := static.Handler(guarded(f))
	f.Fuzz(func(t *testing.T, target, accepts, ranges string) {
		r := httptest.NewRequest("GET", "/", nil)
		u, err := r.URL.Parse(target)
		if err != nil {
			return
		}
		r.URL = u
		r.Header.Set("Accept-Encoding", accepts)
		r.Header.Set("Range", ranges)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if strings.Contains(w.Body.String(), secret) {
			t.Errorf("%q leads out", target)
		}
		switch w.Code {
		case 200, 206:
			if ranges == "" && w.Body.String() != "fine" {
				t.Errorf("%q: %q", target, w.Body)
			}
		case 301:
			if l := w.Header().Get("Location"); !strings.HasPrefix(l, "/p/") {
				t.Errorf("%q leads to %q", target, l)
			}
		case 403, 404, 416:
		default:
			t.Errorf("%q: %d", target, w.Code)
		}
	})
}
