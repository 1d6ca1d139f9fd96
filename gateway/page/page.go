// Package page is the status page of a replica: plain HTML, CSS and JavaScript, all of it in the binary, so that a browser loads
// nothing from anywhere else. It shows what /api/status/stream tells, and changes what the API may change.
//
//	mux.Handle("/{$}", page.Handler())
//	mux.Handle("/page/", page.Handler())
//
// It knows nothing of the replica: whatever it shows it has from the API, in the browser.
package page

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed *.html *.css *.js *.svg
var files embed.FS

// policy allows the page's own files and the API beside it, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// folder is where the files are that belong to the page.
const folder = "/page/"

// Handler serves the page at / and its files below /page/. It answers 404 to anything else.
func Handler() http.Handler {
	served := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(path.Clean(r.URL.Path), folder)
		if info, err := fs.Stat(files, name); r.URL.Path != "/" && (!ok || err != nil || info.IsDir() || strings.HasSuffix(name, ".html")) {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache")
		if r.URL.Path != "/" {
			r = r.Clone(r.Context())
			r.URL.Path = "/" + name
		}
		served.ServeHTTP(w, r)
	})
}
