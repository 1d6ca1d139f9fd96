package admin_test

import (
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/admin"
)

// FuzzHost holds that an address of this machine alone answers no page of another origin, and no name that somebody else may own, as
// browsers read them.
func FuzzHost(f *testing.F) {
	for _, s := range []string{
		"localhost", "LOCALHOST:9090", "127.0.0.1:9090", "[::1]:9090", "::1", "evil.example", "localhost:9090:1", "[localhost]:1", "ops.example.com:1",
		"127.0.0.1.evil.example", "a.svc.local", "[::1%25lo]:1", "[::ffff:127.0.0.1]", "127.1", "localhost.", "evil.example]:1", "sidway", "10.0.0.1", ":", "",
	} {
		f.Add(s, "", "")
		f.Add(s, "http://"+s, "")
		f.Add(s, "https://evil.example", "same-origin")
		f.Add(s, "null", "cross-site")
	}
	h := admin.New(admin.Options{Listen: "127.0.0.1:9090", Hosts: []string{"ops.example.com", "*.svc.local"}})
	f.Fuzz(func(t *testing.T, host, origin, site string) {
		q := httptest.NewRequest("GET", "/healthz", nil)
		q.Host = host
		if origin != "" {
			q.Header.Set("Origin", origin)
		}
		if site != "" {
			q.Header.Set("Sec-Fetch-Site", site)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, q)
		if w.Code != 200 {
			return
		}
		u, err := url.Parse("http://" + host + "/")
		if err != nil || u.Host != host {
			return // no browser has such a host
		}
		name := strings.ToLower(u.Hostname())
		ip, err := netip.ParseAddr(name)
		own := name == "" || name == "localhost" || err == nil && ip.IsLoopback() || name == "ops.example.com" || strings.HasSuffix(name, ".svc.local")
		from, err := url.Parse(origin)
		same := origin == "" || err == nil && strings.EqualFold(from.Host, host)
		if !own || !same || site != "" && site != "same-origin" && site != "none" {
			t.Errorf("answers %q to %q, %q", host, origin, site)
		}
	})
}
