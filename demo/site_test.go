//go:build site

package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestSite opens each page of the documentation's site, which make site has built. A page never scrolls sideways, only what is wide in it
// does, and nothing that it asks for is missing.
func TestSite(t *testing.T) {
	pages, err := filepath.Glob("../site/dist/*.html")
	if err != nil || len(pages) < 30 {
		t.Fatalf("%d pages, %v: this test needs make site", len(pages), err)
	}
	var mu sync.Mutex
	missing := map[string]bool{}
	files := http.FileServer(http.Dir("../site/dist"))
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := os.Stat(filepath.Join("../site/dist", filepath.FromSlash(r.URL.Path))); err != nil {
			mu.Lock()
			defer mu.Unlock()
			missing[r.URL.Path] = true
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(site.Close)
	for name, size := range map[string][2]int64{"desktop": {1440, 900}, "phone": {390, 844}} {
		b := startBrowser(t, size[0], size[1])
		for _, file := range pages {
			page := filepath.Base(file)
			b.do(chromedp.Navigate(site.URL + "/" + strings.TrimPrefix(page, "index.html")))
			b.until(`document.querySelector("#app").__vue_app__?._container?._vnode`)
			if wide := eval[int64](b, `document.documentElement.scrollWidth`); wide > size[0] {
				t.Errorf("%s on a %s is %d px wide: %v", page, name, wide, eval[[]string](b, `[...document.querySelectorAll("main *")]
					.filter((e) => e.getBoundingClientRect().right > innerWidth).map((e) => e.outerHTML.slice(0, 80)).slice(0, 5)`))
			}
			if n := eval[int](b, `[...document.querySelectorAll(".vp-doc pre")].filter((e) => getComputedStyle(e).overflowX !== "auto").length`); n > 0 {
				t.Errorf("%s on a %s has %d blocks that do not scroll by themselves", page, name, n)
			}
			eval[any](b, `(document.head.append(Object.assign(document.createElement("style"), { textContent: "* { transition: none !important }" })), 1)`)
			for i, theme := range []string{"light", "dark"} {
				eval[any](b, fmt.Sprintf(`(document.documentElement.classList.toggle("dark", %t), 1)`, i > 0))
				b.shoot("site-" + strings.TrimSuffix(page, ".html") + "-" + name + "-" + theme)
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for path := range missing {
		t.Errorf("%s is missing", path)
	}
}
