package gateway_test

import (
	"strings"
	"testing"
)

// TestProxyThatNobodyNamedIsTold has the same requests come by one that is trusted, and by one that is not.
func TestProxyThatNobodyNamedIsTold(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine(aSID))
	s, log := warned(t, withNodes(n))
	named, quiet := warned(t, withNodes(n), withTrusted("127.0.0.0/8"))
	for _, g := range []*site{s, named} {
		g.bind(aSID, n)
		c := dial(t, g.addr)
		c.expect(get(pollTarget(aSID)), 200, "6")
		c.handshake(handshakeTarget)
	}
	if s.metric("sidway_setup_faults_total") != 0 || log.String() != "" {
		t.Errorf("told of clients that say nothing: %s", log.String())
	}
	for _, g := range []*site{s, named} {
		c := dial(t, g.addr)
		c.expect(get(pollTarget(aSID), "X-Forwarded-For: 192.0.2.7"), 200, "6")
		c.expect(get("/open", "X-Forwarded-For: 192.0.2.7"), 200, "n1 GET /open ")
		c.expect(get(handshakeTarget, "Forwarded: for=192.0.2.8"), 200, openPacket(aSID))
	}
	s.once(log, "if that is a proxy of yours, name it in trusted_proxies\" cluster=c1 client=127.0.0.1", "untrusted_proxy", 3)
	if named.metric("sidway_setup_faults_total") != 0 || strings.Contains(quiet.String(), "trusted_proxies") {
		t.Errorf("told of a trusted one: %s", quiet.String())
	}
}
