package request_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
)

// FuzzOrigin holds that whatever is written about where a request comes from, the client is the connection's other side, or an
// address that a trusted proxy has written; and that its node gets that address alone, once, in a head that it can read.
func FuzzOrigin(f *testing.F) {
	f.Add("for=192.0.2.1;proto=https", "192.0.2.1, 10.0.0.2", "https", true)
	f.Add(`for="[2001:db8::1%eth0]:1"; by=_x,for=10.0.0.2`, "[fe80::1%eth0]:80, 10.0.0.2", "wss, http", true)
	f.Add(`for="a,b;c=d`, "[2001:db8::1]:80,, ::ffff:10.0.0.9", `"`, true)
	f.Add("for=192.0.2.1", "192.0.2.1", "http", false)
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, forwarded, forwardedFor, proto string, trusted bool) {
		peer := netip.MustParseAddr(map[bool]string{true: "10.0.0.1", false: "198.51.100.7"}[trusted])
		client := request.NewClient(peer, 80, proxies)
		x := &request.Request{}
		x.Reset(&client)
		head := "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: h\r\nX-Real-IP: 203.0.113.9\r\nForwarded: " + forwarded +
			"\r\nX-Forwarded-For: " + forwardedFor + "\r\nX-Forwarded-Proto: " + proto + "\r\n\r\n"
		if x.Req.Parse([]byte(head)) != nil {
			return
		}
		if _, ok := x.Decode(request.Routes{{Path: "/socket.io/"}}); !ok {
			return
		}
		o := x.Origin()
		addr, err := netip.ParseAddr(o.IP)
		written := o.IP == client.IP || trusted && strings.Contains(forwarded+"\n"+forwardedFor, o.IP)
		if err != nil || addr.Zone() != "" || !written || !trusted && o.Proto != "" || o.Proto != "" && o.Proto != "http" && o.Proto != "https" {
			t.Fatalf("%+v by %q", o, head)
		}
		var q http1.Request
		if err := q.Parse(x.AppendRequest(nil, "n:1")); err != nil {
			t.Fatalf("the node cannot read it: %v", err)
		}
		real := 0
		for _, field := range q.Fields {
			if field.ID == http1.XRealIP {
				real++
			}
		}
		if real != 1 || q.Get(http1.XRealIP) != o.IP {
			t.Fatalf("the node gets %d addresses, %q in place of %q", real, q.Get(http1.XRealIP), o.IP)
		}
	})
}
