//go:build !race && !portable

package gateway_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway"
)

// The race detector makes sync.Pool forget at random, so that it would count allocations that are not there.
func TestNoAllocationPerRequest(t *testing.T) {
	plainOnly(t) // crypto/tls makes 24 bytes for each look at the socket
	for name, request := range benchRequests {
		t.Run(name, func(t *testing.T) {
			ask := benchRoad(t, []byte(request))
			if n := testing.AllocsPerRun(1000, ask); n != 0 {
				t.Errorf("%v allocations for a %s, client and node included", n, name)
			}
		})
	}
	t.Run("poll with limits", func(t *testing.T) {
		if n := testing.AllocsPerRun(1000, benchLimited(t, []byte(benchPoll), everyLimit, "HTTP/1.1 200")); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
	t.Run("refused handshake", func(t *testing.T) {
		ask := benchLimited(t, []byte(benchStranger), func(l *gateway.Limits) { l.Handshakes = oneEach }, "HTTP/1.1 429")
		for range 10 { // of which the first few are let through, and one is told
			ask()
		}
		if n := testing.AllocsPerRun(1000, ask); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
	t.Run("poll behind a balancer", func(t *testing.T) {
		lines := "X-Forwarded-For: 6.6.6.6, 2001:db8::7, 127.0.0.2\r\nX-Forwarded-Proto: https\r\nForwarded: for=\"[2001:db8::7]\";proto=https\r\n" +
			"CDN-Loop: other\r\n\r\n"
		ask := benchRoad(t, []byte(strings.TrimSuffix(benchPoll, "\r\n")+lines), netip.MustParsePrefix("127.0.0.0/8"))
		if n := testing.AllocsPerRun(1000, ask); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
