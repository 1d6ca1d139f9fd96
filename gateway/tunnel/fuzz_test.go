package tunnel_test

import (
	"encoding/binary"
	"testing"

	"github.com/sidway/sidway/gateway/tunnel"
)

// frame is one frame of a WebSocket (RFC 6455, 5.2).
type frame struct {
	first   byte
	masked  bool
	payload string
}

// frames reads b as frames, false where it is not whole ones.
func frames(b []byte) (all []frame, whole bool) {
	for len(b) > 0 {
		if len(b) < 2 {
			return all, false
		}
		f, n := frame{first: b[0], masked: b[1]&0x80 != 0}, uint64(b[1]&0x7f)
		b = b[2:]
		if size := map[uint64]int{126: 2, 127: 8}[n]; size > 0 {
			if len(b) < size {
				return all, false
			}
			n = binary.BigEndian.Uint64(append(make([]byte, 8-size), b[:size]...))
			b = b[size:]
		}
		var key [4]byte
		if f.masked {
			if len(b) < 4 {
				return all, false
			}
			b = b[copy(key[:], b):]
		}
		if uint64(len(b)) < n {
			return all, false
		}
		payload := append([]byte(nil), b[:n]...)
		for i := range payload {
			payload[i] ^= key[i%4]
		}
		f.payload = string(payload)
		all, b = append(all, f), b[n:]
	}
	return all, true
}

// FuzzFrame holds what a tunnel sees in a few bytes against a plain reader of frames: heartbeats exactly, and a Close frame of a node's
// wherever there is one at the end that has no reason, or that is alone.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{
		"\x81\x012", "\x81\x81abcd\x52", "\x81\x81\x00\x00\x00\x003", "\x88\x00", "\x88\x02\x03\xe8", "\x81\x012\x88\x00", "\x81\x01x\x88\x02\x03\xe9", "\x88\x05\x03\xe8bye",
		"\x88\x80abcd", "\x88\x82abcd\x62\x8a", "\x81\x81abcdx\x88\x80abcd", "\x88\x85abcd\x62\x8a\x01\x1d\x04",
		"\x82\x012", "\xc1\x012", "\x01\x012", "\x81\x7e\x00\x012", "", "\x88",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ping, pong, closes := tunnel.Frame(b)
		all, whole := frames(b)
		one := len(all) == 1 && whole && all[0].first == 0x81
		short := len(b) < 8 // a longer form of the length is not what anybody writes
		if want := one && !all[0].masked && all[0].payload == "2" && len(b) == 3; ping != want {
			t.Errorf("%x is a ping: %v", b, ping)
		}
		if want := one && all[0].masked && all[0].payload == "3" && short; pong != want {
			t.Errorf("%x is a pong: %v", b, pong)
		}
		if !whole || len(all) == 0 {
			return
		}
		last, head, mask := all[len(all)-1], 2, 0
		if last.masked {
			head, mask, closes = 6, 1<<7, tunnel.ClientCloses(b)
		}
		if head := b[len(b)-len(last.payload)-head:]; int(head[1]) != mask|len(last.payload) || head[0] != last.first {
			return // a longer form again
		}
		if last.first != 0x88 || len(last.payload) != 0 && len(last.payload) != 2 && len(all) != 1 {
			return
		}
		if !closes {
			t.Errorf("%x does not close", b)
		}
		if p := last.payload; !last.masked && len(all) == 1 && len(p) >= 2 && tunnel.CloseCode(b) != uint16(p[0])<<8|uint16(p[1]) {
			t.Errorf("%x has code %d", b, tunnel.CloseCode(b))
		}
	})
}
