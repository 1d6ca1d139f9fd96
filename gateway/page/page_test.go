package page_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/page"
)

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	page.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// The page and what it refers to are there, by their own types and under a policy that allows nothing else; other paths are not.
func TestServesThePageAlone(t *testing.T) {
	root := get(t, "/")
	if root.Code != 200 || !strings.HasPrefix(root.Body.String(), "<!doctype html>") {
		t.Fatalf("%d %.80s", root.Code, root.Body)
	}
	var wanted []string
	for _, m := range regexp.MustCompile(`(?:href|src)="(/page/[^"]+)"`).FindAllStringSubmatch(root.Body.String(), -1) {
		wanted = append(wanted, m[1])
	}
	imports := regexp.MustCompile(`from "\./([a-z]+\.js)"`)
	files, err := fs.Glob(os.DirFS("."), "*.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		script := get(t, "/page/"+name)
		for _, m := range imports.FindAllStringSubmatch(script.Body.String(), -1) {
			wanted = append(wanted, "/page/"+m[1])
		}
		wanted = append(wanted, "/page/"+name)
	}
	types := map[string]string{"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
	for _, path := range append(wanted, "/") {
		w := get(t, path)
		kind := types[path[strings.LastIndexByte(path, '.')+1:]]
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
	}
	for _, path := range []string{"/page/", "/page", "/page/index.html", "/page/page.go", "/page/../page.go", "/index.html", "/page/none.js", "/main.js", "//"} {
		if w := get(t, path); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// Nothing stands in the page that its policy would refuse, and nothing makes HTML of a text.
func TestNothingInline(t *testing.T) {
	files, err := fs.Glob(os.DirFS("."), "*.*")
	if err != nil {
		t.Fatal(err)
	}
	for name, re := range map[string]*regexp.Regexp{
		"html": regexp.MustCompile(`(?i)<script(?:[^>]*[^c])?>[^<]|<style|\son[a-z]+=|\sstyle=|https?://`),
		"js":   regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("style|https?://[^w]`),
		"css":  regexp.MustCompile(`@import|url\(`),
	} {
		seen := 0
		for _, f := range files {
			if strings.HasSuffix(f, "."+name) {
				text, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				if found := re.FindString(string(text)); found != "" {
					t.Errorf("%s: %q", f, found)
				}
				seen++
			}
		}
		if seen == 0 {
			t.Errorf("no %s", name)
		}
	}
}
