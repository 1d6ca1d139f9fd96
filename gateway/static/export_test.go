package static

import "net/http"

// Handler serves one directory.
func Handler(d Dir) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { files{d}.serve(w, r, func(*Dir, error) {}) })
}
