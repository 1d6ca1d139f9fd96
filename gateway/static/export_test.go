package static

import "net/http"

// Handler serves one directory.
func Handler(d Dir) http.Handler { return files{d} }
