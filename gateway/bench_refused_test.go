package gateway_test

import (
	"bytes"
	"testing"

	"github.com/sidway/sidway/gateway"
)

// BenchmarkLimits measures a poll of a live session with all limits of one client address in force, beside BenchmarkRoad.
func BenchmarkLimits(b *testing.B) {
	ask := benchLimited(b, []byte(benchPoll), everyLimit, "HTTP/1.1 200")
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}

// BenchmarkRefused measures what a refusal costs, beside the poll in BenchmarkRoad.
func BenchmarkRefused(b *testing.B) {
	const handshake = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: chat.example.com\r\nOrigin: https://example.com\r\n\r\n"
	for name, change := range map[string]func(*gateway.Limits){
		"client": func(l *gateway.Limits) { l.ClientHandshakes = oneEach },
		"all":    func(l *gateway.Limits) { l.Handshakes = oneEach },
	} {
		b.Run(name, func(b *testing.B) {
			first := true
			ask := benchLimited(b, []byte(handshake), change, "HTTP/1.1 429")
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
	conn := benchGateway(b, change)
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
