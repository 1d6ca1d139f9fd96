package packet_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/packet"
)

func TestWatch(t *testing.T) {
	k := connected(t)
	var seen []string
	k.Watch(func(v packet.Seen) {
		s := fmt.Sprintf("%d %s", v.From, v.Type)
		if v.Namespace != "" {
			s += " " + v.Namespace
		}
		if v.Event != "" {
			s += " " + v.Event
		}
		if v.HasID {
			s += fmt.Sprintf(" #%d", v.ID)
		}
		seen = append(seen, fmt.Sprintf("%s +%d %d", s, v.Attachments, v.Size))
	})
	k.says(packet.Client, `420["hello",1]`, `40/chat,{"token":"x"}`, `42/chat,7["é\"q"]`, `42[5,"x"]`, "3", "5", "9?", `42["`+strings.Repeat("long", 100)+`"]`)
	k.sends(packet.Client, packet.AppendFrame(packet.AppendFrame(nil, text, packet.Client, []byte(`451-["b",{"_placeholder":true,"num":0}]`), mask), binary, packet.Client, make([]byte, 300), mask))
	k.says(packet.Node, `430["x"]`, "2", `44/chat,{"message":"no"}`, `41`)
	k.sends(packet.Node, fragmented(text, `42["frag",`+strings.Repeat("1", 100)+`]`))
	want := []string{
		`0 event / hello #0 +0 14`, `0 connect /chat +0 21`, `0 event /chat é"q #7 +0 18`, `0 event / 5 +0 9`, `0 pong +0 1`, `0 upgrade +0 1`, `0 unknown +0 2`, `0 event / +0 406`,
		`0 binary_event / b +1 39`, `0 attachment +0 300`,
		`1 ack / #0 +0 8`, `1 ping +0 1`, `1 connect_error /chat +0 24`, `1 disconnect / +0 2`, `1 event / frag +0 111`,
	}
	k.is("seen", strings.Join(seen, "\n"), strings.Join(want, "\n"))
	seen = nil
	k.Watch(nil)
	k.says(packet.Client, `42["hello"]`)
	k.is("nobody looks", len(seen), 0)
}

// TestWatchSeesNoMoves: what does not pass is not told.
func TestWatchSeesNoMoves(t *testing.T) {
	k := connected(t)
	seen := 0
	k.Watch(func(packet.Seen) { seen++ })
	k.Shield()
	k.Stop()
	k.Mark("m")
	k.says(packet.Node, "2", `42["sidway:mark","m","1-1"]`)
	at, _ := packet.ParseOffset("1-1")
	k.goesOn(at)
	k.is("seen", seen, 0)
}
