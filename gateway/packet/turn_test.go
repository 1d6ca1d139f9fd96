package packet_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/packet"
)

// numbered is the i-th event of a stream.
func numbered(i int) string { return fmt.Sprintf(`42["e",%d,"1000-%d"]`, i, i) }

// fragmented is a message in two frames, as servers in Go send what is longer than 1 KiB.
func fragmented(op byte, b string) []byte {
	first := packet.AppendFrame(nil, op, packet.Node, []byte(b[:len(b)/2]), mask)
	first[0] &^= 0x80
	return append(first, packet.AppendFrame(nil, 0, packet.Node, []byte(b[len(b)/2:]), mask)...)
}

// goesOn has the session leave its node and come to another one that restores it.
func (k *talk) goesOn(o packet.Offset) {
	k.t.Helper()
	k.is("left", k.Left(), true)
	k.Rejoin(o, mask)
	k.is("restored", k.says(packet.Node, `40{"sid":"S","pid":"P"}`), "")
}

// TestManyComeAgain: more than are remembered of a session that stays. What the client did not get in the middle passes.
func TestManyComeAgain(t *testing.T) {
	k := connected(t)
	missed := map[int]bool{20: true, 23: true}
	for i := 1; i <= 40; i++ {
		if !missed[i] {
			k.says(packet.Node, numbered(i))
		}
	}
	o := k.Received().Oldest()
	k.goesOn(o)
	for i := 1; i <= 40; i++ {
		if at, _ := packet.ParseOffset(fmt.Sprintf("1000-%d", i)); o.Before(at) {
			k.is(numbered(i), k.says(packet.Node, numbered(i)) != "", missed[i])
		}
	}

	k = connected(t)
	k.Stop()
	k.Mark("m")
	k.is("the mark", k.says(packet.Node, `42["sidway:mark","m","1000-0"]`), "")
	k.is("it has come", k.Marked(), true)
	for i := 1; i <= 100; i++ {
		k.is("before", k.says(packet.Node, numbered(i)), numbered(i))
	}
	at, _ := packet.ParseOffset("1000-0")
	k.goesOn(at)
	for i := 1; i <= 101; i++ {
		k.is(numbered(i), k.says(packet.Node, numbered(i)) != "", i == 101)
	}
	k.is("and live", k.says(packet.Node, numbered(101)), "")
}

// TestOldestAfterAMark: the ring goes on in its order.
func TestOldestAfterAMark(t *testing.T) {
	k := connected(t)
	for i := 1; i <= 48; i++ {
		k.says(packet.Node, numbered(i))
	}
	k.Mark("m")
	k.says(packet.Node, numbered(49))
	k.is("oldest", k.Received().Oldest(), "1000-17")
}

// TestFragmentsComeAgain: a message of several frames is left out as a whole, and its attachments are.
func TestFragmentsComeAgain(t *testing.T) {
	k := connected(t)
	const binaryEvent = `451-["b",{"_placeholder":true,"num":0},"1000-1"]`
	long := `42["e","` + strings.Repeat("x", 2000) + `","1000-2"]`
	k.says(packet.Node, binaryEvent)
	k.sends(packet.Node, packet.AppendFrame(nil, binary, packet.Node, []byte("abcdef"), mask))
	k.Pass(packet.Node, fragmented(text, long))
	k.goesOn(packet.Offset{})
	k.is("header", k.says(packet.Node, binaryEvent), "")
	k.is("attachment", len(k.Pass(packet.Node, fragmented(binary, "abcdef"))), 0)
	k.is("long", len(k.Pass(packet.Node, fragmented(text, long))), 0)
	other := fragmented(text, strings.Replace(long, "1000-2", "1000-3", 1))
	k.is("another", len(k.Pass(packet.Node, append([]byte(nil), other...))), len(other))
	k.says(packet.Node, strings.Replace(binaryEvent, "1000-1", "1000-4", 1))
	k.is("the next attachment", k.sends(packet.Node, packet.AppendFrame(nil, binary, packet.Node, []byte("new"), mask)), "2:new")
}

// TestHalfAnAttachment: the old node got the half of it, the new one gets none, and the next one whole.
func TestHalfAnAttachment(t *testing.T) {
	k := connected(t)
	const event = `451-["b",{"_placeholder":true,"num":0}]`
	k.says(packet.Client, event)
	f := packet.AppendFrame(nil, binary, packet.Client, []byte("0123456789"), mask)
	k.Pass(packet.Client, append([]byte(nil), f[:9]...))
	k.goesOn(packet.Offset{})
	k.is("the rest", len(k.Pass(packet.Client, append([]byte(nil), f[9:]...))), 0)
	k.is("header", k.says(packet.Client, event), event)
	k.is("attachment", k.sends(packet.Client, packet.AppendFrame(nil, binary, packet.Client, []byte("second"), mask)), "2:second")
}

// TestAfterATurn: what the new node says of itself passes.
func TestAfterATurn(t *testing.T) {
	k := connected(t)
	k.says(packet.Node, `427["tick"]`)
	k.says(packet.Client, `437[]`)
	k.is("left", k.Left(), true)
	k.is("a ping", k.says(packet.Node, "2"), "2")
	k.Rejoin(packet.Offset{}, mask)
	k.is("restored", k.says(packet.Node, `40{"sid":"S","pid":"P"}`), "")
	k.Heartbeat()
	k.is("one pong of two", k.says(packet.Client, "3")+k.says(packet.Client, "3"), "3")
	k.is("a text that was heard before", k.says(packet.Node, `42["tick","2000-1"]`), `42["tick","2000-1"]`)
	k.says(packet.Client, "40/admin,")
	k.is("a refusal", k.says(packet.Node, `44/admin,{"message":"no"}`), `44/admin,{"message":"no"}`)
}

// TestTooMuchToRemember: a session that says more than is remembered is left where it is.
func TestTooMuchToRemember(t *testing.T) {
	k := connected(t)
	for i := range 40 {
		k.says(packet.Client, fmt.Sprintf("40/n%d,", i))
	}
	k.is("many namespaces", k.Recovers(), false)
	k = connected(t)
	k.says(packet.Client, `40/a,{"a":"`+strings.Repeat("x", 10_000)+`"}`)
	k.is("long auth", k.Recovers(), false)
}

// TestLeftByPolling: a namespace that was left before the upgrade is none.
func TestLeftByPolling(t *testing.T) {
	k := &talk{t: t}
	k.Upgrades()
	k.says(packet.Client, "5")
	found := map[string]string{}
	tell := func(name, text string) { found[name] = text }
	packet.Polled(packet.Client, []byte("40\x1e40/chat,"), tell)
	packet.Polled(packet.Node, []byte("40{\"sid\":\"S\",\"pid\":\"P\"}\x1e40/chat,{\"sid\":\"T\",\"pid\":\"Q\"}"), tell)
	packet.Polled(packet.Client, []byte("41/chat,"), tell)
	k.Learn(found)
	k.is("namespaces", len(k.Namespaces()), 1)
	k.is("settled", k.Settled(), nil)
}
