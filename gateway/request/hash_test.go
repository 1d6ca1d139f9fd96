package request_test

import (
	"net/netip"
	"testing"

	"github.com/sidway/sidway/gateway/request"
)

// hashed returns what a request with that head is hashed by, and the request, whose memory it is in.
func hashed(t *testing.T, hashBy, from, head string) (string, *request.Request) {
	t.Helper()
	by, err := request.ParseHashBy(hashBy)
	if err != nil {
		t.Fatal(err)
	}
	client := request.NewClient(netip.MustParseAddr(from), 80, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	x := &request.Request{Client: &client}
	if err := x.Req.Parse([]byte(head)); err != nil {
		t.Fatal(err)
	}
	if answer, ok := x.Decode(request.Routes{{Path: "/socket.io/", HashBy: by}}); !ok {
		t.Fatal(answer)
	}
	return x.HashKey(), x
}

func TestHashKey(t *testing.T) {
	const (
		line = "GET /socket.io/?EIO=4&transport=polling&t=Pa3k"
		rest = " HTTP/1.1\r\nHost: chat.example.com\r\n"
	)
	for _, tt := range []struct{ hashBy, from, query, fields, want string }{
		{"", "198.51.100.7", "", "", "198.51.100.7"},
		{"client", "::ffff:198.51.100.7", "", "X-Forwarded-For: 203.0.113.1\r\n", "198.51.100.7"},
		{"client", "10.1.2.3", "", "X-Forwarded-For: 198.51.100.7, 203.0.113.1\r\n", "203.0.113.1"},
		{"client", "2001:db8::1", "", "", "2001:db8::1"},
		{"query:room", "198.51.100.7", "&room=a%20b&x=1", "", "a%20b"},
		{"query:room", "198.51.100.7", "&classroom=1&room=2", "", "2"},
		{"query:room", "198.51.100.7", "&room=", "", "198.51.100.7"},
		{"query:room", "198.51.100.7", "&ROOM=1", "Room: 2\r\nCookie: room=3\r\n", "198.51.100.7"},
		{"query:room", "10.1.2.3", "", "X-Forwarded-For: 203.0.113.1\r\n", "203.0.113.1"},
		{"header:X-Tenant", "198.51.100.7", "", "x-tenant: acme\r\nX-Tenant: other\r\n", "acme"},
		{"header:X-Tenant", "198.51.100.7", "", "X-Tenant:\r\nX-Tenant-Id: 1\r\n", "198.51.100.7"},
		{"header:cookie", "198.51.100.7", "", "Cookie: a=1; b=2\r\n", "a=1; b=2"},
		{"cookie:user", "198.51.100.7", "", "Cookie: a=1;user=2=3; b\r\n", "2=3"},
		{"cookie:user", "198.51.100.7", "", "Cookie: superuser=1; b=user\r\nCookie: x=1; user=4\r\n", "4"},
		{"cookie:user", "198.51.100.7", "", "Cookie: user=; user=5; user=6\r\nCookie: user=7\r\n", "5"},
		{"cookie:user", "198.51.100.7", "&user=1", "Cookie: User=1; user; user=\r\n", "198.51.100.7"},
	} {
		got, x := hashed(t, tt.hashBy, tt.from, line+tt.query+rest+tt.fields+"\r\n")
		if got != tt.want {
			t.Errorf("%s, %q %q: %q, want %q", tt.hashBy, tt.query, tt.fields, got, tt.want)
		}
		if n := testing.AllocsPerRun(100, func() { x.HashKey() }); n != 0 {
			t.Errorf("%s: %v allocations", tt.hashBy, n)
		}
	}
}

func TestHashByThatIsNone(t *testing.T) {
	for _, s := range []string{"query", "query:", "header:", "cookie", "clients", "client:x", "path:/a", ":a", "Query:a"} {
		if by, err := request.ParseHashBy(s); err == nil {
			t.Errorf("%q is read as %v", s, by)
		}
	}
}
