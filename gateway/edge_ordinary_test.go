package gateway_test

import "testing"

func TestFixture(t *testing.T) {
	t.Parallel()
	n := startNode(t, "n1", engine("AAAAAAAAAAAAAAAAAAAA"))
	g := startGateway(t, withNodes(n))
	c := raw(t, g.addr, get(handshakeTarget))
	if r := c.answer(); r.StatusCode != 200 || r.Text != openPacket("AAAAAAAAAAAAAAAAAAAA") {
		t.Errorf("%d %q", r.StatusCode, r.Text)
	}
	c.send(get(pollTarget("AAAAAAAAAAAAAAAAAAAA")))
	if r := c.answer(); r.StatusCode != 200 || r.Text != "6" {
		t.Errorf("%d %q", r.StatusCode, r.Text)
	}
	c.kept()
	w := raw(t, g.addr, get(directTarget, asksWebSocket...))
	if r := w.start("GET"); r.StatusCode != 101 || r.Header.Get("Sec-WebSocket-Accept") != socketAccept {
		t.Errorf("%v", r)
	}
	if got := w.read(2 + len(openPacket("AAAAAAAAAAAAAAAAAAAA"))); got != frame(openPacket("AAAAAAAAAAAAAAAAAAAA")) {
		t.Errorf("%q", got)
	}
}
