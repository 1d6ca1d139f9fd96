package admin_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidway/sidway/gateway/admin"
)

// full has everything that a replica may have.
func full(token string) admin.Options {
	says := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
	}
	return admin.Options{
		Token: token, Listen: "0.0.0.0:9090", Metrics: prometheus.NewRegistry(), Profiles: true, API: says("api"), Page: says("page"),
	}
}

// TestWhoMayAsk has clients ask that are on this machine, or elsewhere, as a proxy says.
func TestWhoMayAsk(t *testing.T) {
	open := full("")
	open.OpenMetrics = true
	openMetrics := full("secret")
	openMetrics.OpenMetrics = true
	const away, right, wrong = "X-Forwarded-For: 192.0.2.1", "Authorization: Bearer secret", "Authorization: Bearer wrong"
	for _, tt := range []struct {
		name   string
		o      admin.Options
		fields []string
		// statuses of the health checks and the page, /metrics, the rest that is read, and changes
		free, metrics, reads, changes int
	}{
		{"here, no token", full(""), nil, 200, 200, 200, 200},
		{"away, no token", full(""), []string{away}, 200, 403, 403, 403},
		{"away, no token, one is sent", full(""), []string{away, right}, 200, 403, 403, 403},
		{"away, no token, an empty one is sent", full(""), []string{away, "Authorization: Bearer "}, 200, 403, 403, 403},
		{"away, no token, metrics are open", open, []string{away}, 200, 200, 403, 403},
		{"here, a token", full("secret"), nil, 200, 200, 200, 401},
		{"here, the token is sent", full("secret"), []string{right}, 200, 200, 200, 200},
		{"here, a wrong one is sent", full("secret"), []string{wrong}, 200, 200, 200, 401},
		{"away, a token", full("secret"), []string{away}, 200, 401, 401, 401},
		{"away, metrics are open", openMetrics, []string{away}, 200, 200, 401, 401},
		{"away, the token is sent", full("secret"), []string{away, right}, 200, 200, 200, 200},
		{"away, its scheme in other letters", full("secret"), []string{away, "Authorization: bearer secret"}, 200, 200, 200, 200},
		{"away, a wrong one is sent", full("secret"), []string{away, wrong}, 200, 401, 401, 401},
		{"away, its beginning is sent", full("secret"), []string{away, "Authorization: Bearer secre"}, 200, 401, 401, 401},
		{"away, more than it is sent", full("secret"), []string{away, "Authorization: Bearer secret "}, 200, 200, 200, 200}, // HTTP cuts spaces off
		{"away, no scheme", full("secret"), []string{away, "Authorization: secret"}, 200, 401, 401, 401},
		{"away, another scheme", full("secret"), []string{away, "Authorization: Basic secret"}, 200, 401, 401, 401},
		{"away, in a cookie and the query", full("secret"), []string{away, "Cookie: token=secret"}, 200, 401, 401, 401},
		{"by a proxy: X-Forwarded-For, a second one", full(""), []string{"X-Forwarded-For: ", away}, 200, 403, 403, 403},
		{"by a proxy: X-Forwarded-Proto", full(""), []string{"X-Forwarded-Proto: https"}, 200, 403, 403, 403},
		{"by a proxy: X-Real-IP", full(""), []string{"X-Real-IP: 192.0.2.1"}, 200, 403, 403, 403},
		{"by a proxy: Forwarded", full(""), []string{"Forwarded: for=192.0.2.1"}, 200, 403, 403, 403},
		{"by a proxy: Via", full(""), []string{"Via: 1.1 proxy"}, 200, 403, 403, 403},
	} {
		s := server(t, tt.o)
		for target, want := range map[string]int{
			"GET /healthz": tt.free, "GET /readyz": tt.free, "HEAD /readyz": tt.free, "GET /": tt.free, "GET /page/main.js": tt.free,
			"GET /metrics": tt.metrics, "HEAD /metrics": tt.metrics,
			"GET /api/status": tt.reads, "HEAD /api/status": tt.reads, "GET /api/openapi.json": tt.reads, "GET /debug/pprof/": tt.reads,
			"GET /page/%2e%2e/api/status": tt.free, // the page's own business, which has no such file
			"GET //api/status":            tt.reads, "GET /page/../api/status": tt.reads,
			"POST /api/reload": tt.changes, "PUT /api/clusters/chat/release": tt.changes, "DELETE /api/clusters/chat/release": tt.changes,
			"PATCH /api/status": tt.changes, "OPTIONS /api/status": tt.changes,
		} {
			method, path, _ := strings.Cut(target, " ")
			r := request(t, method, s.URL+path+"?token=secret&access_token=secret")
			for _, f := range tt.fields {
				name, value, _ := strings.Cut(f, ": ")
				r.Header.Add(name, value)
			}
			res, body := do(t, s, r)
			challenge := res.Header.Get("WWW-Authenticate")
			if res.StatusCode != want || (want == 401) != (challenge == `Bearer realm="sidway"`) || strings.Contains(body, "secret") {
				t.Errorf("%s: %s: got %d %q %s", tt.name, target, res.StatusCode, challenge, body)
			}
			if want > 400 && method != "HEAD" && !strings.Contains(body, "admin.token") {
				t.Errorf("%s: %s does not say what to set: %s", tt.name, target, body)
			}
		}
	}
}

// TestWhoIsHere goes by the addresses of both ends.
func TestWhoIsHere(t *testing.T) {
	h := admin.New(full(""))
	at := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 5), Port: 9090}
	for _, tt := range []struct {
		from string
		at   net.Addr
		want int
	}{
		{"192.0.2.1:1", at, 403},
		{"[2001:db8::1]:1", at, 403},
		{"", at, 403},
		{"@", at, 403},
		{"10.0.0.6:1", at, 403},
		{"10.0.0.5:1", nil, 403},
		{"127.0.0.1:1", at, 200},
		{"127.1.2.3:1", at, 200},
		{"[::ffff:127.0.0.1]:1", at, 200},
		{"[::1]:1", at, 200},
		{"10.0.0.5:1", at, 200},
		{"[::ffff:10.0.0.5]:1", at, 200},
		{"@", &net.UnixAddr{Net: "unix", Name: "/run/sidway-admin.sock"}, 200},
	} {
		for target, want := range map[string]int{"GET /api/status": tt.want, "POST /api/reload": tt.want, "GET /metrics": tt.want, "GET /healthz": 200} {
			method, path, _ := strings.Cut(target, " ")
			w, r := httptest.NewRecorder(), httptest.NewRequest(method, "http://localhost"+path, nil)
			if tt.at != nil {
				r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, tt.at))
			}
			r.RemoteAddr = tt.from
			if h.ServeHTTP(w, r); w.Code != want {
				t.Errorf("%s from %q at %v: %d", target, tt.from, tt.at, w.Code)
			}
		}
	}
}

// TestWhoIsHereByAnotherAddress comes from each address of this machine's interfaces to one that is none of them.
func TestWhoIsHereByAnotherAddress(t *testing.T) {
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	h, tried := admin.New(full("")), 0
	at := &net.TCPAddr{IP: net.IPv4(198, 51, 100, 5), Port: 9090}
	for _, a := range own {
		ip := a.(*net.IPNet).IP
		if ip.IsLoopback() {
			continue
		}
		tried++
		w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "http://localhost/api/reload", nil)
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, at))
		r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(ip.String()), 1).String()
		if h.ServeHTTP(w, r); w.Code != 200 {
			t.Errorf("from %s: %d", ip, w.Code)
		}
	}
	if tried == 0 {
		t.Log("this machine has loopback addresses alone")
	}
}

// A name that was rebound, and a page of another site, get nothing though their browser is on this machine and has the token.
func TestTheTokenOpensNothingForAWebPage(t *testing.T) {
	for _, token := range []string{"", "secret"} {
		s := server(t, full(token))
		for _, target := range []string{"GET /api/status", "POST /api/reload", "GET /metrics", "GET /healthz"} {
			for _, field := range []string{"Host: evil.example", "Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"} {
				method, path, _ := strings.Cut(target, " ")
				r := request(t, method, s.URL+path)
				r.Header.Set("Authorization", "Bearer secret")
				name, value, _ := strings.Cut(field, ": ")
				if r.Header.Set(name, value); name == "Host" {
					r.Host = value
				}
				if res, body := do(t, s, r); res.StatusCode != 403 {
					t.Errorf("%s with %s: got %d %s", target, field, res.StatusCode, body)
				}
			}
		}
	}
}

// TestTheTokenIsComparedInConstantTime holds the code to it, since a clock on a busy machine tells little: the token is kept as its sum
// alone, and sums are compared by crypto/subtle alone.
func TestTheTokenIsComparedInConstantTime(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	subtle := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			var compared []ast.Expr
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if n.Op == token.EQL || n.Op == token.NEQ {
					compared = []ast.Expr{n.X, n.Y}
				}
			case *ast.CallExpr:
				switch called := text(n.Fun); {
				case called == "subtle.ConstantTimeCompare":
					subtle++
				case strings.HasSuffix(called, ".Equal"), strings.HasSuffix(called, ".Compare"), strings.HasSuffix(called, ".HasPrefix"), called == "strings.EqualFold":
					compared = n.Args
				}
			}
			for _, e := range compared {
				if slices.Contains([]string{"given", "sum", "a.sum", "o.Token"}, text(e)) {
					t.Errorf("%s compares %s", name, text(e))
				}
			}
			return true
		})
	}
	if subtle != 1 {
		t.Errorf("crypto/subtle compares at %d places", subtle)
	}
}

// text returns a name or a selection of one, as a.b.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return fmt.Sprint(text(e.X), ".", e.Sel.Name)
	case *ast.SliceExpr:
		return text(e.X)
	}
	return ""
}
