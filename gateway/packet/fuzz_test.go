package packet_test

import (
	"bytes"
	"testing"

	"github.com/sidway/sidway/gateway/packet"
)

// FuzzPass: where no session changes its node, what comes in passes as it is, in whatever pieces it comes; and a change of the node ends
// well with whatever was said before.
func FuzzPass(f *testing.F) {
	said := func(from packet.Side, texts ...string) (b []byte) {
		for _, s := range texts {
			b = packet.AppendFrame(b, text, from, []byte(s), mask)
		}
		return b
	}
	f.Add(said(packet.Client, "40", `42["x"]`, `420["q"]`, "3"), said(packet.Node, `0{"sid":"a"}`, `40{"sid":"S","pid":"P"}`, `42["e","1-2"]`, `430[]`, "2"), byte(3))
	f.Add(said(packet.Client, "2probe", "5", "41"), said(packet.Node, "3probe", `451-["b",{"_placeholder":true,"num":0},"1-1"]`), byte(1))
	f.Add([]byte{0x81, 0xfe}, []byte{0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '4'}, byte(7))
	f.Add([]byte{0x01, 0x80}, []byte{0x01, 1, '4', 0x89, 0, 0x80, 1, '2'}, byte(2))
	f.Fuzz(func(t *testing.T, client, node []byte, size byte) {
		var s packet.Session
		pass := func(from packet.Side, in []byte) (out []byte) {
			for b := in; len(b) > 0; {
				n := min(int(size)%64+1, len(b))
				out, b = append(out, s.Pass(from, bytes.Clone(b[:n]))...), b[n:]
			}
			return out
		}
		for from, in := range [][]byte{client, node} {
			if out := pass(packet.Side(from), in); !bytes.HasPrefix(in, out) || len(in)-len(out) > 13 {
				t.Fatalf("side %d: %x came out of %x", from, out, in)
			}
		}
		settled := s.Settled() == nil
		s.Stop()
		s.Mark("m")
		s.Barrier([8]byte{1}, mask)
		s.Leave(mask)
		if !s.Left() {
			if settled {
				t.Fatal("a settled session cannot leave its node")
			}
			return
		}
		s.Rejoin(s.Received().Newest(), mask)
		pass(packet.Node, node)
		s.Joined()
		s.Heartbeat()
		s.Continue()
		pass(packet.Client, client)
		s.Finish()
	})
}
