package request

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/sidway/sidway/engineio"
)

// Redirect returns the answer that sends the client to the same host and target by https, at that port, 0 for the usual one. Hosts that
// no route serves are no reason to send anybody anywhere.
func (x *Request) Redirect(routes Routes, port uint16) engineio.Answer {
	q := &x.Req
	name := hostname(q.Host)
	switch {
	case name == "" || !strings.HasPrefix(q.Path, "/"):
		return Plain(http.StatusBadRequest, "this is served by https, and the request names no page")
	case !routes.serve(name):
		return Plain(http.StatusMisdirectedRequest, "no cluster serves this host")
	}
	to := "https://" + name
	if port != 0 && port != 443 {
		to += ":" + strconv.Itoa(int(port))
	}
	if to += q.Path; q.RawQuery != "" {
		to += "?" + q.RawQuery
	}
	a := Plain(http.StatusPermanentRedirect, "this is served by https")
	a.Location = to
	return a
}

// serve reports whether one of the routes serves a host.
func (all Routes) serve(name string) bool {
	for _, r := range all {
		if r.serves(name) {
			return true
		}
	}
	return false
}

// challengePath is where certificate authorities look for the answer to a challenge (RFC 8555, 8.3).
const challengePath = "/.well-known/acme-challenge/"

// Challenge returns the host and the token of an authority's question, false where the request is none.
func (x *Request) Challenge() (host, token string, ok bool) {
	token, ok = strings.CutPrefix(x.Req.Path, challengePath)
	ok = ok && token != "" && len(token) <= 256 && x.Req.Method == http.MethodGet
	for i := range len(token) { // base64url; it may become the name of a file
		c := token[i]
		ok = ok && ('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '_')
	}
	return strings.ToLower(hostname(x.Req.Host)), token, ok
}
