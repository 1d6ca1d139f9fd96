package static

import "net/http"

// Handler serves one directory.
func Handler(d Dir) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { files{d}.serve(w, r, func(*Dir, error) {}) })
}

// Acceptable are the names of the codings that an Accept-Encoding allows, the best first.
func Acceptable(accepts string) (names []string) {
	for _, c := range acceptable(accepts) {
		names = append(names, c.name)
	}
	return names
}
