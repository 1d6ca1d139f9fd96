package packet_test

import (
	"fmt"
	"testing"

	"github.com/sidway/sidway/gateway/packet"
)

// What a client says at the end of a volatile event may look like an offset. Where the stream does not have it, it is not taken for what the client has got.
func TestForgedOffsets(t *testing.T) {
	const forged = "9999999999999-0"
	real := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("1700000000%03d-0", i))
		}
		return all
	}
	for name, c := range map[string]struct {
		got           []string
		newest, first string
		known         bool
	}{
		"none":               {nil, "0-0", "0-0", true},
		"real ones":          {real(3), "1700000000002-0", "0-0", true},
		"one forged":         {append(real(3), forged), "1700000000002-0", "0-0", true},
		"forged long ago":    {append([]string{forged}, real(40)...), "1700000000039-0", "1700000000008-0", true},
		"forged in between":  {append(append(real(20), forged), real(60)[20:]...), "1700000000059-0", "1700000000028-0", true},
		"nothing but forged": {[]string{forged, forged}, "0-0", "0-0", true},
		"all real ones gone": {append(real(3), func() (all []string) {
			for i := range 40 {
				all = append(all, fmt.Sprintf("9999999999999-%d", i))
			}
			return all
		}()...), "0-0", "0-0", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &packet.Session{}
			s.Recall(c.got)
			stands := map[string]bool{}
			for _, o := range real(100) {
				stands[o] = true
			}
			got := s.Received()
			known := got.Keep(func(o packet.Offset) bool { return stands[o.String()] })
			if known != c.known || got.Newest().String() != c.newest || known && got.Oldest().String() != c.first {
				t.Errorf("known %v, newest %s, oldest %s", known, got.Newest(), got.Oldest())
			}
			if o, _ := packet.ParseOffset(forged); got.Got(o) {
				t.Error("the forged one is among what the client has got")
			}
		})
	}
}

// However many acknowledgements a payload names, so many are told and no more.
func TestManyAcks(t *testing.T) {
	var asks, gives []byte
	for i := range 16_000 {
		asks = packet.AppendPacket(asks, fmt.Appendf(nil, `42%d["x"]`, i))
		gives = packet.AppendPacket(gives, fmt.Appendf(nil, "43%d[]", i/2))
	}
	asked, _ := packet.Acks(packet.Client, asks)
	_, given := packet.Acks(packet.Client, gives)
	if len(asked) != 257 || len(given) != 257 {
		t.Errorf("%d asked for, %d given", len(asked), len(given))
	}
}
