package packet_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/packet"
)

// asks is one text message of a client.
func asks(message string) []byte {
	return packet.AppendFrame(nil, text, packet.Client, []byte(message), mask)
}

func TestTokensOfCONNECT(t *testing.T) {
	for message, want := range map[string]string{
		`40`:                         "/ true ",
		`40{"token":"abc"}`:          "/ true abc",
		`40{"token":"Bearer abc"}`:   "/ true abc",
		`40{"token":"bearer   abc"}`: "/ true abc",
		`40/admin,{"a":{"token":"x"},"token":"abc"}`: "/admin true abc",
		`40/admin`:                    "/admin true ",
		`40/admin,`:                   "/admin true ",
		`40{"token":null}`:            "/ true ",
		`40{"Token":"abc"}`:           "/ true ",
		`40{"to\u006ben":"abc"}`:      "/ true abc",
		`40{"token":"a","token":"b"}`: "/ false ",
		`40{"token":{"token":"a"}}`:   "/ false ",
		`40{"token":1}`:               "/ false ",
		`40[{"token":"a"}]`:           "/ false ",
		`40{"token":"a"`:              "/ false ",
		`40{"token":"a"}{}`:           "/ false ",
		`40{"token":"a"}}`:            "/ false ",
		`40"token"`:                   "/ false ",
	} {
		all, ok := packet.ParseUnproven([]byte(message))
		if !ok || len(all) != 1 || all[0].Connect == nil || string(all[0].Text) != message {
			t.Errorf("%s: %v", message, all)
			continue
		}
		token, good := all[0].Connect.Token("token")
		if got := fmt.Sprintf("%s %v %s", all[0].Connect.Namespace, good, token); got != want {
			t.Errorf("%s: got %s, want %s", message, got, want)
		}
	}
}

func TestWhatAnUnprovenClientMaySend(t *testing.T) {
	for payload, want := range map[string]int{"3": 1, "1": 1, "40\x1e3\x1e1": 3, "40{}\x1e40/a,{}": 2} {
		if all, ok := packet.ParseUnproven([]byte(payload)); !ok || len(all) != want {
			t.Errorf("%q: %v %v", payload, all, ok)
		}
	}
	for _, payload := range []string{
		"", "42[\"a\"]", "4", "41", "43[]", "44{}", "45", "46", "2probe", "5", "6", "0", "30", "bAAAA", "40\x1e", "\x1e40", "40\x1e42[\"a\"]", "401{}", "d=40", " 40", "\ufeff40", "47",
		strings.Repeat("3\x1e", 64) + "3",
	} {
		if all, ok := packet.ParseUnproven([]byte(payload)); ok {
			t.Errorf("%q passes as %v", payload, all)
		}
	}
}

func TestConnectError(t *testing.T) {
	for namespace, want := range map[string]string{
		"/":      `44{"message":"no \"way\"","data":{"code":4}}`,
		"/admin": `44/admin,{"message":"no \"way\"","data":{"code":4}}`,
	} {
		if got := string(packet.ConnectError(namespace, `no "way"`)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Whatever way the bytes come, the node gets nothing of a client but what is harmless until a CONNECT is granted, and then all.
func TestAGateHoldsUntilACONNECTIsGranted(t *testing.T) {
	control := packet.AppendFrame(nil, ping, packet.Client, []byte("hi"), mask)
	var in []byte
	for _, b := range [][]byte{asks("3"), asks(`40{"token":"bad"}`), control, asks("2"), asks(`40/a,{"token":"good"}`), asks(`42["x"]`), asks(`40/b`)} {
		in = append(in, b...)
	}
	for _, step := range []int{1, 2, 7, 30, len(in)} {
		g := packet.NewGate(nil)
		var out []byte
		var judged []string
		open := false
		take := func(b []byte) {
			for !open {
				passed, c, ok := g.Take(bytes.Clone(b))
				if !ok {
					t.Fatal("refused")
				}
				if out, b = append(out, passed...), nil; c == nil {
					return
				}
				token, _ := c.Token("token")
				judged = append(judged, c.Namespace+" "+token)
				if token != "good" {
					g.Refuse()
					continue
				}
				out, open = append(out, g.Grant()...), true
				return
			}
			out = append(out, b...)
		}
		for b := in; len(b) > 0; {
			n := min(step, len(b))
			take(b[:n])
			b = b[n:]
		}
		if got := read(t, out); got != `3|9:hi|2|40/a,{"token":"good"}|42["x"]|40/b` || fmt.Sprint(judged) != "[/ bad /a good]" {
			t.Errorf("in steps of %d the node gets %s, judged %v", step, got, judged)
		}
	}
}

// What comes while a verdict is awaited waits with it.
func TestAGateWaitsForAVerdict(t *testing.T) {
	g := packet.NewGate(nil)
	_, c, _ := g.Take(asks(`40{"token":"good"}`))
	if c == nil {
		t.Fatal("not judged")
	}
	if out, again, ok := g.Take(asks("3")); len(out) > 0 || again != nil || !ok {
		t.Errorf("%q %v %v", out, again, ok)
	}
	g.Follow([]byte{0x81})
	if now := g.Say([]byte("44")); len(now) > 0 || !g.Judges() {
		t.Errorf("%q is sent within a frame of the node", now)
	}
	if got := read(t, g.Grant()); got != `40{"token":"good"}|3` {
		t.Errorf("got %s", got)
	}
	if out, c, ok := g.Take([]byte("as it is")); string(out) != "as it is" || c != nil || !ok || g.Over() || g.Judges() {
		t.Errorf("open: %q %v %v", out, c, ok)
	}
	if got := read(t, append([]byte{0x81}, g.Follow([]byte{1, '2'})...)); got != "2|44" || !g.Over() {
		t.Errorf("the client gets %s", got)
	}
}

func TestWhatAGateRefuses(t *testing.T) {
	connect := asks(`40{"token":"good"}`)
	fragment := bytes.Clone(connect)
	fragment[0] &^= 0x80
	compressed := bytes.Clone(connect)
	compressed[0] |= 0x40
	reserved := bytes.Clone(connect)
	reserved[0] = 0x83
	for name, in := range map[string][]byte{
		"an event":          asks(`42["x"]`),
		"a fragment":        fragment,
		"a continuation":    {0x80, 0x81, 0, 0, 0, 0, 'x'},
		"a compressed one":  compressed,
		"another opcode":    reserved,
		"binary":            packet.AppendFrame(nil, binary, packet.Client, []byte("x"), mask),
		"unmasked":          packet.AppendFrame(nil, text, packet.Node, []byte("40"), mask),
		"too long":          asks(`40{"token":"` + strings.Repeat("x", 64<<10) + `"}`)[:14],
		"far too long":      {0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		"a long ping":       {0x89, 0xfe, 0, 200, 0, 0, 0, 0},
		"an empty message":  asks(""),
		"an upgrade":        asks("5"),
		"an acknowledgment": asks("430[]"),
	} {
		g := packet.NewGate(nil)
		if out, c, ok := g.Take(bytes.Clone(in)); ok || len(out) > 0 || c != nil {
			t.Errorf("%s: %q %v %v", name, out, c, ok)
		}
		if out, c, ok := g.Take(bytes.Clone(connect)); !ok || len(out) > 0 || c != nil {
			t.Errorf("behind %s: %q %v %v", name, out, c, ok)
		}
	}
	g := packet.NewGate(nil)
	_, _, _ = g.Take(bytes.Clone(connect))
	if _, _, ok := g.Take(make([]byte, 1<<20)); ok {
		t.Error("it keeps as much as a client sends while it is judged")
	}
}

// A packet for the client stands between two messages of its node, however these come.
func TestAGateSpeaksBetweenMessages(t *testing.T) {
	var in []byte
	in = append(in, packet.AppendFrame(nil, text, packet.Node, []byte(strings.Repeat("a", 200)), mask)...)
	in = append(in, 0x01, 1, 'b', 0x89, 1, 'p', 0x80, 1, 'c') // a message of two frames with a ping between
	for cut := range len(in) {
		g := packet.NewGate(in[:cut])
		out := bytes.Clone(in[:cut])
		out = append(out, g.Say([]byte("44"))...)
		for _, c := range in[cut:] {
			out = append(out, g.Follow([]byte{c})...)
		}
		a := strings.Repeat("a", 200)
		switch got := read(t, out); got {
		case "44|" + a + "|b|9:p|0:c", a + "|44|b|9:p|0:c", a + "|b|9:p|0:c|44":
		default:
			t.Errorf("cut at %d: %s", cut, got)
		}
	}
}

func FuzzGate(f *testing.F) {
	f.Add(append(asks("3"), asks(`40{"token":"good"}`)...), uint8(3))
	f.Add(asks(`42["x"]`), uint8(200))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		g := packet.NewGate(nil)
		var out []byte
		for b := in; len(b) > 0; {
			n := min(int(step)+1, len(b))
			passed, c, _ := g.Take(b[:n])
			out, b = append(out, passed...), b[n:]
			for c != nil {
				g.Refuse()
				passed, c, _ = g.Take(nil)
				out = append(out, passed...)
			}
		}
		for len(out) > 0 {
			op, payload, n := packet.Frame(out)
			if n == 0 || op < 8 && (op != text || !strings.Contains("123", string(payload)) || len(payload) != 1) {
				t.Fatalf("%x passes", out)
			}
			out = out[n:]
		}
	})
}

// A token that is read is what JSON.parse gives a node, as encoding/json does.
func FuzzToken(f *testing.F) {
	for _, auth := range []string{`{"token":"a"}`, `{"a":{"token":"b"},"token":"Bearer c"}`, `{"token":"a","token":"b"}`, `{"tok\u0065n":"\ud800"}`, `[]`, `{`} {
		f.Add(auth)
	}
	f.Fuzz(func(t *testing.T, auth string) {
		all, ok := packet.ParseUnproven([]byte("40/a," + auth))
		if !ok || len(all) != 1 || all[0].Connect == nil {
			return
		}
		token, ok := all[0].Connect.Token("token")
		if !ok || token == "" {
			return
		}
		var said map[string]any
		err := json.Unmarshal([]byte(auth), &said)
		if text, _ := said["token"].(string); err != nil || !strings.HasSuffix(text, token) {
			t.Errorf("%q has %q: %v, %q", auth, token, err, text)
		}
	})
}
