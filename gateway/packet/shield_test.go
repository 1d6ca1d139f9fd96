package packet_test

import (
	"strings"
	"testing"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/packet"
)

func TestHeartbeatsAreKeptApart(t *testing.T) {
	k := connected(t)
	k.Shield()
	k.is("a node's ping passes", k.says(packet.Node, "2", `42["e"]`), `42["e"]`)
	k.is("it is owed an answer", k.Owes(), true)
	k.is("the answer", read(t, k.Answer(mask)), "3")
	k.is("it is owed nothing", k.Owes(), false)
	k.is("the ping", read(t, k.Ping()), "2")
	k.is("no pong was heard", k.TakePong(), false)
	k.is("a client's pong passes", k.says(packet.Client, "3", `42["f"]`), `42["f"]`)
	k.is("a pong was heard", k.TakePong(), true)
	k.is("a probe does not", k.says(packet.Client, "2probe"), "2probe")
	k.is("nor its answer", k.says(packet.Node, "3probe"), "3probe")
	k.is("nothing stands between a move and the session", k.Settled(), nil)
}

// TestHeartbeatsWaitForMessages: none comes into the middle of a message, and each comes behind it.
func TestHeartbeatsWaitForMessages(t *testing.T) {
	for _, from := range []packet.Side{packet.Client, packet.Node} {
		k := connected(t)
		k.Shield()
		message := packet.AppendFrame(nil, text, from, []byte(`42["e"]`), mask)
		message[0] &^= 0x80
		rest := packet.AppendFrame(nil, 0, from, []byte("!"), mask)
		k.Pass(from, message)
		beat, now := "3", []byte(nil)
		if from == packet.Client {
			k.says(packet.Node, "2")
			now = k.Answer(mask)
		} else {
			beat, now = "2", k.Ping()
		}
		k.is("it comes now", len(now), 0)
		k.is("it comes behind the message", k.sends(from, rest), "0:!|"+beat)

		k.Pass(from, message)
		if from == packet.Client {
			k.says(packet.Node, "2")
			k.Answer(mask)
		} else {
			k.Ping()
		}
		next := packet.AppendFrame(nil, text, from, []byte(`42["next"]`), mask)
		k.is("it comes between two", k.sends(from, append(rest, next...)), "0:!|"+beat+`|42["next"]`)
	}
}

// TestHeartbeatsInPieces: a ping that comes byte by byte is one.
func TestHeartbeatsInPieces(t *testing.T) {
	k := connected(t)
	k.Shield()
	for _, b := range packet.AppendFrame(nil, text, packet.Node, []byte("2"), mask) {
		k.is("passes", k.sends(packet.Node, []byte{b}), "")
	}
	for _, b := range packet.AppendFrame(nil, text, packet.Client, []byte("3"), mask) {
		k.is("passes", k.sends(packet.Client, []byte{b}), "")
	}
	k.is("the answer", read(t, k.Answer(mask)), "3")
	k.is("a pong was heard", k.TakePong(), true)
}

// judge refuses packets with more than two attachments, and odd events.
type judge struct{ looks int }

func (j *judge) Inspect(p *engineio.Payload) bool {
	j.looks++
	return p.Attachments <= 2 && !p.OddEvent
}

func TestGuard(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for _, c := range []struct {
		packet  string
		refused bool
	}{
		{`42["e",1]`, false},
		{`452-["e",{"_placeholder":true,"num":0}]`, false},
		{`453-["e"]`, true},
		{`4599999999999-["e"]`, true},
		{`461000000-/chat,12[]`, true},
		{`42[{"toString":1}]`, true},
		{`42/` + long + `,[{"toString":1}]`, true},
		{`42/` + long + `,["e"]`, false},
		{`42["` + long + "\x1e" + `453-["e"]"]`, false}, // a text is one packet
		{"3", false},
		{"", false},
	} {
		for _, size := range []int{1, 7, 5000} {
			for _, pieces := range []int{1, 3} {
				var s packet.Session
				j, shared := &judge{}, &packet.Scratch{}
				s.Guard(j, shared)
				in := fragments(c.packet, pieces)
				var out []byte
				for b := in; len(b) > 0; {
					n := min(size, len(b))
					out, b = append(out, s.Pass(packet.Client, append([]byte(nil), b[:n]...))...), b[n:]
				}
				switch {
				case s.Refused() != c.refused:
					t.Errorf("%.40s in %d frames and pieces of %d: refused %v", c.packet, pieces, size, s.Refused())
				case !c.refused && string(out) != string(in):
					t.Errorf("%.40s in %d frames and pieces of %d: %x comes out of %x", c.packet, pieces, size, out, in)
				case c.refused && len(out) >= len(in):
					t.Errorf("%.40s in %d frames and pieces of %d passes", c.packet, pieces, size)
				case c.refused && len(s.Pass(packet.Client, packet.AppendFrame(nil, text, packet.Client, []byte("40"), mask))) > 0:
					t.Errorf("%.40s: more passes behind it", c.packet)
				}
			}
		}
	}
}

// fragments is a client's text in some frames.
func fragments(message string, count int) (b []byte) {
	size := (len(message) + count - 1) / count
	for i := range count {
		op := byte(text)
		if i > 0 {
			op = 0
		}
		at := len(b)
		b = packet.AppendFrame(b, op, packet.Client, []byte(message[min(i*size, len(message)):min((i+1)*size, len(message))]), mask)
		if i < count-1 {
			b[at] &^= 0x80
		}
	}
	return b
}

// TestGuardLeavesAttachments: a binary message is no packet.
func TestGuardLeavesAttachments(t *testing.T) {
	var s packet.Session
	s.Guard(&judge{}, &packet.Scratch{})
	first := fragments(`42/unfinished`, 1)
	for _, b := range [][]byte{first, packet.AppendFrame(nil, binary, packet.Client, []byte(`,[{"453-`), mask)} {
		if out := s.Pass(packet.Client, append([]byte(nil), b...)); string(out) != string(b) || s.Refused() {
			t.Errorf("%x comes out of %x, refused %v", out, b, s.Refused())
		}
	}
}
