package gateway_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidway/sidway/gateway"
)

// BenchmarkEdge measures a poll of a live session that comes by the PROXY protocol, with all limits and tokens in force, beside one
// with none of it.
func BenchmarkEdge(b *testing.B) {
	i := newIssuer(b)
	poll := []byte(strings.Replace(benchPoll, "\r\n", "\r\nAuthorization: Bearer "+i.token(jwt.SigningMethodHS256, "ann", time.Now().Add(time.Hour))+"\r\n", 1))
	for name, o := range map[string]benchOptions{
		"plain": {},
		"edge": {
			limits: everyLimit, trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, auth: i.rule("header:Authorization"),
			introduced: headerOfSeven,
		},
	} {
		b.Run(name, func(b *testing.B) {
			ask := askOn(b, benchGateway(b, o), poll)
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}

const benchStranger = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: chat.example.com\r\nOrigin: https://example.com\r\n\r\n"

// BenchmarkRefused measures what a refusal costs, beside the poll in BenchmarkRoad.
func BenchmarkRefused(b *testing.B) {
	for name, change := range map[string]func(*gateway.Limits){
		"client": func(l *gateway.Limits) { l.ClientHandshakes = oneEach },
		"all":    func(l *gateway.Limits) { l.Handshakes = oneEach },
	} {
		b.Run(name, func(b *testing.B) {
			first := true
			ask := benchLimited(b, []byte(benchStranger), change, "HTTP/1.1 429")
			b.ReportAllocs()
			for b.Loop() {
				if ask(); first {
					first = false
					b.ResetTimer()
				}
			}
		})
	}
}

func everyLimit(l *gateway.Limits) {
	l.ClientConnections, l.ClientRequests, l.ClientHandshakes, l.Handshakes, l.TunnelRate = 1000, 1e6, 1e6, 1e6, 1e6
}

// benchLimited is benchRoad with limits; an answer that begins otherwise ends the benchmark, but for the first one.
func benchLimited(b testing.TB, request []byte, change func(*gateway.Limits), begins string) (ask func()) {
	conn := benchGateway(b, benchOptions{limits: change})
	answer, first := make([]byte, 4<<10), true
	return func() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		if n, err := conn.Read(answer); err != nil || !first && !bytes.HasPrefix(answer[:n], []byte(begins)) {
			b.Fatalf("%v: %s", err, answer[:n])
		}
		first = false
	}
}
