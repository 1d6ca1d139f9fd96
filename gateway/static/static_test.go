package static_test

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/static"
)

// The types must not depend on the machine: the web does not work with a module or a stylesheet of another type.
func TestTypes(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"a.js": "text/javascript; charset=utf-8", "a.mjs": "text/javascript; charset=utf-8", "a.css": "text/css; charset=utf-8",
		"a.html": "text/html; charset=utf-8", "A.HTML": "text/html; charset=utf-8", "a.wasm": "application/wasm", "a.svg": "image/svg+xml",
		"a.woff2": "font/woff2", "a.json": "application/json", "a.js.map": "application/json",
		"a.webmanifest": "application/manifest+json", "a.png": "image/png", "a.webp": "image/webp", "a.avif": "image/avif",
		"a.ico": "image/x-icon", "a.mp4": "video/mp4", "a.txt": "text/plain; charset=utf-8", "a.tar.gz": "application/gzip",
		"page": "application/octet-stream", "a.unknown": "application/octet-stream",
	}
	files := map[string]string{}
	for name := range want {
		files[name] = "<html><script>alert(1)</script>"
	}
	s := serve(t, static.Dir{Prefix: "/", Dir: tree(t, files)})
	for name, typ := range want {
		if r := get(t, s, "/"+name); r.StatusCode != 200 || r.Header.Get("Content-Type") != typ {
			t.Errorf("%s: %d %q, not %q", name, r.StatusCode, r.Header.Get("Content-Type"), typ)
		}
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"app.js": "hello", "with space/ü%2e.txt": "odd", "empty.txt": ""})
	s := serve(t, static.Dir{Prefix: "/a/", Dir: dir, MaxAge: time.Hour})
	c := dial(t, s.Addr())
	for _, method := range []string{"GET", "HEAD"} {
		r := c.ask(method, "/a/app.js?v=1")
		h := r.Header
		if r.StatusCode != 200 || r.ContentLength != 5 || h.Get("Cache-Control") != "max-age=3600" || h.Get("Vary") != "Accept-Encoding" ||
			h.Get("Accept-Ranges") != "bytes" || h.Get("Last-Modified") == "" || !strings.HasPrefix(h.Get("ETag"), `"`) {
			t.Errorf("%s: %d, length %d, %v", method, r.StatusCode, r.ContentLength, h)
		}
		if want := map[string]string{"GET": "hello"}[method]; r.text != want {
			t.Errorf("%s: %q", method, r.text)
		}
	}
	if r := c.ask("GET", "/a/with%20space/%C3%BC%252e.txt"); r.StatusCode != 200 || r.text != "odd" {
		t.Errorf("%d %q", r.StatusCode, r.text)
	}
	if r := c.ask("GET", "/a/empty.txt", "Range: bytes=0-"); r.StatusCode != 200 || r.ContentLength != 0 {
		t.Errorf("%d, length %d", r.StatusCode, r.ContentLength)
	}
	for _, target := range []string{"/a/none.js", "/b/app.js", "/a", "/", "/a/app.js/", "/a/app.js/x", "/a/" + strings.Repeat("x", 5000)} {
		if r := c.ask("GET", target); r.StatusCode != 404 || r.Header.Get("Cache-Control") != "" {
			t.Errorf("%.20s: %d %v", target, r.StatusCode, r.Header)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get"} {
		if r := c.ask(method, "/a/app.js"); r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, allows %q", method, r.StatusCode, r.Header.Get("Allow"))
		}
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a.css": "hello"})
	s := serve(t, static.Dir{Prefix: "/", Dir: dir, MaxAge: time.Minute})
	first := get(t, s, "/a.css").Header
	tag, date := first.Get("ETag"), first.Get("Last-Modified")
	const early, late = "Mon, 01 Jan 2001 00:00:00 GMT", "Mon, 01 Jan 2096 00:00:00 GMT"
	for _, c := range []struct {
		line   string
		status int
	}{
		{"If-None-Match: " + tag, 304},
		{"If-None-Match: W/" + tag, 304},
		{`If-None-Match: "x", ` + tag, 304},
		{"If-None-Match: *", 304},
		{`If-None-Match: "x"`, 200},
		{"If-Modified-Since: " + date, 304},
		{"If-Modified-Since: " + late, 304},
		{"If-Modified-Since: " + early, 200},
		{"If-Match: " + tag, 200},
		{`If-Match: "x"`, 412},
		{"If-Unmodified-Since: " + early, 412},
	} {
		r := get(t, s, "/a.css", c.line)
		if r.StatusCode != c.status {
			t.Errorf("%s: %d", c.line, r.StatusCode)
		}
		if h := r.Header; c.status == 304 && (h.Get("ETag") != tag || h.Get("Cache-Control") != "max-age=60" || h.Get("Vary") == "") {
			t.Errorf("%s: %v", c.line, h)
		}
	}

	write(t, filepath.Join(dir, "a.css"), "world")
	if err := os.Chtimes(filepath.Join(dir, "a.css"), time.Time{}, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if r := get(t, s, "/a.css", "If-None-Match: "+tag); r.StatusCode != 200 || r.text != "world" {
		t.Errorf("changed: %d %q", r.StatusCode, r.text)
	}
}

// Builders that want the same bytes each time write all files at one time, by which no two of the same size can be told apart.
func TestTimeless(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a.css": "hello"})
	s := serve(t, static.Dir{Prefix: "/", Dir: dir})
	for sec := range int64(2) {
		if err := os.Chtimes(filepath.Join(dir, "a.css"), time.Time{}, time.Unix(sec, 0)); err != nil {
			t.Fatal(err)
		}
		if h := get(t, s, "/a.css").Header; h.Get("ETag") != "" || h.Get("Last-Modified") != "" {
			t.Errorf("%v", h)
		}
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	text := "0123456789"
	s := serve(t, static.Dir{Prefix: "/", Dir: tree(t, map[string]string{"a.mp4": text, "a.mp4.gz": "coded"})})
	first := get(t, s, "/a.mp4").Header
	for _, c := range []struct {
		ranges, condition string
		status            int
		text, where       string
	}{
		{"bytes=2-4", "", 206, "234", "bytes 2-4/10"},
		{"bytes=-3", "", 206, "789", "bytes 7-9/10"},
		{"bytes=8-", "", 206, "89", "bytes 8-9/10"},
		{"bytes=5-99", "", 206, "56789", "bytes 5-9/10"},
		{"bytes=0-9", "", 206, text, "bytes 0-9/10"},
		{"bytes=10-", "", 416, "", "bytes */10"},
		{"bytes=4-2", "", 416, "", ""},
		{"lines=1-2", "", 416, "", ""},
		{"bytes=0-9,0-9", "", 200, text, ""}, // more than all of it
		{"bytes=1-2", "If-Range: " + first.Get("ETag"), 206, "12", "bytes 1-2/10"},
		{"bytes=1-2", "If-Range: " + first.Get("Last-Modified"), 206, "12", "bytes 1-2/10"},
		{"bytes=1-2", `If-Range: "other"`, 200, text, ""},
		{"bytes=1-2", "If-Range: W/" + first.Get("ETag"), 200, text, ""},
		{"bytes=1-2", "If-None-Match: " + first.Get("ETag"), 304, "", ""},
	} {
		lines := []string{"Range: " + c.ranges, "Accept-Encoding: gzip"}
		if c.condition != "" {
			lines = append(lines, c.condition)
		}
		r := get(t, s, "/a.mp4", lines...)
		if r.StatusCode != c.status || r.Header.Get("Content-Range") != c.where || r.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s %s: %d %v", c.ranges, c.condition, r.StatusCode, r.Header)
		}
		if c.status < 300 && (r.text != c.text || r.ContentLength != int64(len(c.text)) || r.Header.Get("Vary") != "Accept-Encoding") {
			t.Errorf("%s %s: %q, %v", c.ranges, c.condition, r.text, r.Header)
		}
	}
	r := get(t, s, "/a.mp4", "Range: bytes=0-1,7-8", "Accept-Encoding: gzip")
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.StatusCode != 206 || err != nil || r.Header.Get("Content-Encoding") != "" {
		t.Fatalf("%d %v", r.StatusCode, r.Header)
	}
	parts := multipart.NewReader(strings.NewReader(r.text), params["boundary"])
	for _, want := range []string{"01", "78"} {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(p); string(got) != want || p.Header.Get("Content-Type") != "video/mp4" {
			t.Errorf("%q %v", got, p.Header)
		}
	}
}

// codedFiles have the coding's name in the coded ones.
var codedFiles = map[string]string{
	"both.js": "plain", "both.js.br": "br", "both.js.gz": "gzip", "gz.js": "plain", "gz.js.gz": "gzip", "none.js": "plain",
	"only.js.gz": "gzip", "dir.js": "plain", "dir.js.br/x": "", "d/index.html": "plain", "d/index.html.br": "br",
}

func TestCodings(t *testing.T) {
	t.Parallel()
	s := serve(t, static.Dir{Prefix: "/", Dir: tree(t, codedFiles)})
	for _, c := range []struct{ target, accepts, want string }{
		{"/both.js", "gzip, deflate, br, zstd", "br"},
		{"/both.js", "gzip, deflate", "gzip"},
		{"/both.js", "GZip", "gzip"},
		{"/both.js", "br;q=0.5, gzip;q=0.8", "gzip"},
		{"/both.js", "br;q=0.8,gzip;q=0.8", "br"},
		{"/both.js", "br ; q=0, gzip ; Q=0.001", "gzip"},
		{"/both.js", "br;q=0.000", "plain"},
		{"/both.js", "*", "br"},
		{"/both.js", "*;q=0.1, br;q=0", "gzip"},
		{"/both.js", "br;q=0,*", "gzip"},
		{"/both.js", "*;q=0", "plain"},
		{"/both.js", "identity", "plain"},
		{"/both.js", "identity;q=1, *;q=0", "plain"},
		{"/both.js", "identity, br;q=0.9", "plain"},
		{"/both.js", "identity;q=0.5, br;q=0.9", "br"},
		{"/both.js", "identity;q=0, gzip;q=0.2", "gzip"},
		{"/both.js", "", "plain"},
		{"/both.js", "brotli, gzipped, x", "plain"},
		{"/both.js", "br;q=nan, gzip;q=2", "plain"},
		{"/both.js", "br;q=-1, gzip;q", "plain"},
		{"/both.js", "br;v=1", "plain"},
		{"/gz.js", "gzip, br", "gzip"},
		{"/gz.js", "br", "plain"},
		{"/none.js", "gzip, br", "plain"},
		{"/dir.js", "br", "plain"}, // what lies beside it is a directory
		{"/d/", "br", "br"},
	} {
		r := get(t, s, c.target, "Accept-Encoding: "+c.accepts)
		coding := strings.TrimPrefix(c.want, "plain")
		if h := r.Header; r.StatusCode != 200 || r.text != c.want || h.Get("Content-Encoding") != coding || h.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s for %q: %d %q %v", c.target, c.accepts, r.StatusCode, r.text, h)
		}
		if typ := r.Header.Get("Content-Type"); !strings.HasPrefix(typ, "text/javascript") && !strings.HasPrefix(typ, "text/html") {
			t.Errorf("%s: %s", c.target, typ)
		}
		if r.ContentLength != int64(len(c.want)) {
			t.Errorf("%s for %q: length %d", c.target, c.accepts, r.ContentLength)
		}
	}
	if r := get(t, s, "/both.js", "Accept-Encoding: gzip", "Accept-Encoding: br"); r.text != "br" {
		t.Errorf("two fields: %q", r.text)
	}
	if r := get(t, s, "/only.js", "Accept-Encoding: gzip"); r.StatusCode != 404 {
		t.Errorf("only coded: %d", r.StatusCode)
	}
	if r := get(t, s, "/both.js.gz"); r.text != "gzip" || r.Header.Get("Content-Encoding") != "" || r.Header.Get("Content-Type") != "application/gzip" {
		t.Errorf("by its own name: %v", r.Header)
	}
}

// A coded file is another representation: it has a tag of its own, and conditions and HEAD go with its length.
func TestConditionsOfCodings(t *testing.T) {
	t.Parallel()
	s := serve(t, static.Dir{Prefix: "/", Dir: tree(t, codedFiles)})
	const br = "Accept-Encoding: br"
	plain, coded := get(t, s, "/both.js").Header.Get("ETag"), get(t, s, "/both.js", br).Header.Get("ETag")
	zipped := get(t, s, "/both.js", "Accept-Encoding: gzip").Header.Get("ETag")
	if plain == coded || plain == zipped || coded == zipped {
		t.Errorf("tags %s, %s, %s", plain, coded, zipped)
	}
	c := dial(t, s.Addr())
	if r := c.ask("HEAD", "/both.js", br); r.StatusCode != 200 || r.ContentLength != 2 || r.Header.Get("Content-Encoding") != "br" {
		t.Errorf("HEAD: %d, length %d, %v", r.StatusCode, r.ContentLength, r.Header)
	}
	for line, status := range map[string]int{
		"If-None-Match: " + coded: 304, "If-None-Match: " + plain: 200, "If-Match: " + coded: 200, "If-Match: " + plain: 412,
	} {
		if r := c.ask("GET", "/both.js", br, line); r.StatusCode != status || status == 200 && r.text != "br" {
			t.Errorf("%s: %d %q", line, r.StatusCode, r.text)
		}
	}
	if r := c.ask("GET", "/both.js", br, "Range: bytes=1-2", "If-Range: "+coded); r.StatusCode != 200 || r.text != "plain" {
		t.Errorf("a range of the coded one: %d %q", r.StatusCode, r.text)
	}
}

func TestDirectories(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"index.html": "top", "d/index.html": "d", "d/e e/x.txt": "x", "a:b/index.html": "ab"})
	s := serve(t, static.Dir{Prefix: "/s/", Dir: dir})
	for _, c := range []struct {
		target   string
		status   int
		location string
		text     string
	}{
		{"/s/", 200, "", "top"},
		{"/s/index.html", 200, "", "top"},
		{"/s/d/", 200, "", "d"},
		{"/s/d", 301, "/s/d/", ""},
		{"/s/d?a=1&b=%2F", 301, "/s/d/?a=1&b=%2F", ""},
		{"/s/d/e%20e", 301, "/s/d/e%20e/", ""},
		{"/s/a:b", 301, "/s/a:b/", ""},
		{"http://evil.example/s/d", 301, "/s/d/", ""},
		{"/s/d/e%20e/", 404, "", "Not Found\n"}, // nothing is listed
		{"/s/d//e%20e", 404, "", "Not Found\n"}, // else a path might begin with the name of a host
		{"/s//d", 404, "", "Not Found\n"},
		{"//s/d", 404, "", "Not Found\n"},
	} {
		r := get(t, s, c.target)
		if r.StatusCode != c.status || r.Header.Get("Location") != c.location || r.text != c.text {
			t.Errorf("%s: %d to %q, %q", c.target, r.StatusCode, r.Header.Get("Location"), r.text)
		}
	}
}

// Of two directories the one with the longer prefix has a file, whatever their order.
func TestLongestPrefix(t *testing.T) {
	t.Parallel()
	a, b := tree(t, map[string]string{"x.txt": "a", "in/x.txt": "hidden"}), tree(t, map[string]string{"x.txt": "b"})
	s := serve(t, static.Dir{Prefix: "/", Dir: a}, static.Dir{Prefix: "/in/", Dir: b, MaxAge: time.Second})
	for i, target := range []string{"/x.txt", "/in/x.txt", "/%69n/x.txt"} {
		r := get(t, s, target)
		if want := []string{"a", "b", "b"}[i]; r.text != want || r.Header.Get("Cache-Control") != "max-age="+strconv.Itoa(min(i, 1)) {
			t.Errorf("%s: %q %v", target, r.text, r.Header)
		}
	}
}

// A long file comes whole, and so does one that is coded.
func TestLongFile(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&b, "%09d\n", i)
	}
	s := serve(t, static.Dir{Prefix: "/", Dir: tree(t, map[string]string{"a": b.String(), "a.gz": b.String() + "coded"})})
	if r := get(t, s, "/a"); r.text != b.String() {
		t.Errorf("%d bytes", len(r.text))
	}
	if r := get(t, s, "/a", "Accept-Encoding: gzip"); r.text != b.String()+"coded" || r.ContentLength != int64(len(r.text)) {
		t.Errorf("%d bytes, length %d", len(r.text), r.ContentLength)
	}
}
