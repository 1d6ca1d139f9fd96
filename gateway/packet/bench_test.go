package packet_test

import (
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/packet"
)

// BenchmarkPass follows an event of 60 bytes each way, as it comes by itself.
func BenchmarkPass(b *testing.B) {
	var s packet.Session
	s.Pass(packet.Client, packet.AppendFrame(nil, text, packet.Client, []byte("40"), mask))
	s.Pass(packet.Node, packet.AppendFrame(nil, text, packet.Node, []byte(`40{"sid":"S","pid":"P"}`), mask))
	up := packet.AppendFrame(nil, text, packet.Client, []byte(`42["message","`+strings.Repeat("x", 43)+`"]`), mask)
	down := packet.AppendFrame(nil, text, packet.Node, []byte(`42["message","`+strings.Repeat("x", 27)+`","1795909617830-0"]`), mask)
	b.ReportAllocs()
	for b.Loop() {
		s.Pass(packet.Client, up)
		s.Pass(packet.Node, down)
	}
}
