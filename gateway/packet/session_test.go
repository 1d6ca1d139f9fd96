package packet_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/packet"
)

var mask = [4]byte{1, 2, 3, 4}

const (
	text   = 1
	binary = 2
	closes = 8
	ping   = 9
	pong   = 10
)

// talk is a session with both of its ends.
type talk struct {
	t *testing.T
	packet.Session
}

// says has a side say text messages, and checks what comes out at the other end, "" for all of it.
func (k *talk) says(from packet.Side, messages ...string) string {
	k.t.Helper()
	var in []byte
	for _, m := range messages {
		in = packet.AppendFrame(in, text, from, []byte(m), mask)
	}
	return k.sends(from, in)
}

// sends passes bytes, and returns the messages that come out, as "text|text".
func (k *talk) sends(from packet.Side, in []byte) string {
	k.t.Helper()
	return read(k.t, k.Pass(from, bytes.Clone(in)))
}

// read reads whole frames.
func read(t *testing.T, b []byte) string {
	t.Helper()
	var all []string
	for len(b) > 0 {
		op, payload, n := packet.Frame(b)
		if n == 0 {
			t.Fatalf("half a frame: %x", b)
		}
		s := string(payload)
		if op != text {
			s = fmt.Sprintf("%d:%s", op, s)
		}
		all, b = append(all, s), b[n:]
	}
	return strings.Join(all, "|")
}

func connected(t *testing.T) *talk {
	k := &talk{t: t}
	k.says(packet.Node, `0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000}`)
	k.says(packet.Client, `40{"token":"x"}`)
	k.says(packet.Node, `40{"sid":"S","pid":"P"}`)
	return k
}

func (k *talk) is(what string, got, want any) {
	k.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		k.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestSettled(t *testing.T) {
	k := &talk{t: t}
	k.Upgrades()
	k.is("at the probe", k.Settled(), packet.ErrPolling)
	k.says(packet.Client, "2probe", "5")
	k.is("nothing is learned", k.Settled(), packet.ErrPolling)
	k.Learn(nil)
	k.is("upgraded", k.Settled(), packet.ErrNoNamespace)
	k.says(packet.Client, "40")
	k.is("asked", k.Settled(), packet.ErrNoNamespace)
	k.says(packet.Node, `40{"sid":"S"}`)
	k.is("without pid", k.Settled(), packet.ErrNoRecovery)

	k = connected(t)
	k.is("connected", k.Settled(), nil)
	k.says(packet.Client, `40/admin,{"a":1}`)
	k.is("another namespace asked for", k.Settled(), packet.ErrNoNamespace)
	k.says(packet.Node, `40/admin,{"sid":"S2","pid":"P2"}`)
	k.is("two namespaces", k.Settled(), nil)

	k.says(packet.Client, `420["q"]`)
	k.is("the node owes an answer", k.Settled(), packet.ErrAcks)
	k.says(packet.Node, `430["a"]`)
	k.is("it has given it", k.Settled(), nil)
	k.says(packet.Node, `42/admin,7["q"]`)
	k.says(packet.Client, `437["of the other namespace"]`)
	k.is("the client owes an answer", k.Settled(), packet.ErrAcks)
	k.says(packet.Client, `43/admin,7["a"]`)
	k.is("it has given it", k.Settled(), nil)

	k.says(packet.Node, `451-["x",{"_placeholder":true,"num":0}]`)
	k.is("an attachment is to come", k.Settled(), packet.ErrMessage)
	k.sends(packet.Node, packet.AppendFrame(nil, binary, packet.Node, []byte("bytes"), mask))
	k.is("it has", k.Settled(), nil)
	half := packet.AppendFrame(nil, text, packet.Client, []byte(`42["hello"]`), mask)
	k.Pass(packet.Client, bytes.Clone(half[:9]))
	k.is("half a message", k.Settled(), packet.ErrMessage)
	k.Pass(packet.Client, bytes.Clone(half[9:]))
	k.is("the rest", k.Settled(), nil)
	k.says(packet.Node, "41/admin,")
	k.says(packet.Client, "41")
	k.is("left", k.Settled(), packet.ErrNoNamespace)
}

// TestTurn goes through a whole change of the node.
func TestTurn(t *testing.T) {
	k := connected(t)
	k.says(packet.Node, `42["n",1,"1000-0"]`, `42["n",2,"1001-0"]`, `42["n",3,"1002-1"]`)
	k.says(packet.Node, "2")
	k.is("newest", k.Received().Newest(), "1002-1")

	k.Stop()
	k.is("stopped", k.says(packet.Client, `42["late"]`, "3"), "")
	k.Mark("m")
	k.is("a question", k.says(packet.Node, `422["q"]`), `422["q"]`)
	k.is("the mark", k.says(packet.Node, `42["sidway:mark","m","1002-3"]`), "")
	k.is("barrier", read(t, k.Barrier([8]byte{'n', 'o', 'n', 'c', 'e'}, mask)), "9:nonce\x00\x00\x00")
	k.is("before the pong", k.says(packet.Node, `42["n",4,"1003-0"]`)+fmt.Sprint(k.Passed()), `42["n",4,"1003-0"]false`)
	k.is("another pong", k.sends(packet.Node, packet.AppendFrame(nil, pong, packet.Node, []byte("else"), mask)), "10:else")
	whole := packet.AppendFrame(nil, pong, packet.Node, []byte("nonce\x00\x00\x00"), mask)
	k.is("half a pong", k.sends(packet.Node, whole[:3]), "")
	k.is("pong", k.sends(packet.Node, whole[3:]), "")
	k.is("passed", k.Passed(), true)
	k.is("leave", read(t, k.Leave(mask)), "8:\x03\xe9")
	k.is("last words", k.says(packet.Node, `42["n",5,"1004-0"]`), `42["n",5,"1004-0"]`)
	k.is("close", k.sends(packet.Node, packet.AppendFrame(nil, closes, packet.Node, []byte{3, 0xe9}, mask)), "")
	k.is("left", k.Left(), true)

	o, _ := packet.ParseOffset("1001-0")
	k.is("rejoin", read(t, k.Rejoin(o, mask)), `40{"offset":"1001-0","pid":"P","token":"x"}`)
	k.is("open", k.says(packet.Node, `0{"sid":"b"}`), "")
	k.is("restored", k.says(packet.Node, `40{"sid":"S","pid":"P"}`), "")
	done, refused, renewed := k.Joined()
	k.is("joined", []any{done, refused, renewed}, "[true false 0]")
	k.is("what comes again", k.says(packet.Node,
		`42["n",3,"1002-1"]`, `42["q","1002-5"]`, `42["n",4,"1003-0"]`, `42["n",5,"1004-0"]`, `42["n",6,"1005-0"]`), `42["n",6,"1005-0"]`)
	k.is("heartbeat", read(t, k.Heartbeat()), "2")
	k.is("kept", read(t, k.Continue()), `42["late"]`)
	k.is("the other pong", k.says(packet.Client, "3", `42["x"]`), `42["x"]`)
	k.Finish()
	k.is("settled", k.Settled(), nil)
	k.is("the next node's heartbeat", k.says(packet.Node, "2")+k.says(packet.Client, "3"), "23")
}

// TestBinaryComesAgain: attachments go with their event.
func TestBinaryComesAgain(t *testing.T) {
	k := connected(t)
	const event = `451-["b",{"_placeholder":true,"num":0},"1002-0"]`
	attachment := packet.AppendFrame(nil, binary, packet.Node, []byte("bytes"), mask)
	k.says(packet.Node, event)
	k.sends(packet.Node, attachment)
	k.Stop()
	k.is("left", k.Left(), true)
	o, _ := packet.ParseOffset("1000-0")
	k.Rejoin(o, mask)
	k.says(packet.Node, `40{"sid":"S","pid":"P"}`)
	k.is("event", k.says(packet.Node, event), "")
	k.is("attachment", k.sends(packet.Node, attachment), "")
	k.is("another", k.says(packet.Node, strings.Replace(event, "1002", "1003", 1))+k.sends(packet.Node, attachment), strings.Replace(event, "1002", "1003", 1)+"2:bytes")
}

// TestCrash: what the old node got half of does not reach the new one, nor do answers to the old one.
func TestCrash(t *testing.T) {
	k := connected(t)
	k.says(packet.Node, `420["q"]`)
	half := packet.AppendFrame(nil, text, packet.Client, []byte(`42["half"]`), mask)
	k.Pass(packet.Client, bytes.Clone(half[:10]))
	k.is("left", k.Left(), true)
	k.Rejoin(packet.Offset{}, mask)
	k.is("renewed", k.says(packet.Node, `40{"sid":"T","pid":"Q"}`), `40{"sid":"T","pid":"Q"}`)
	_, _, renewed := k.Joined()
	k.is("count", renewed, 1)
	k.is("the other half", k.sends(packet.Client, half[10:]), "")
	k.is("answers", k.says(packet.Client, `430["old"]`, `42["x"]`), `42["x"]`)
	k.is("settled", k.Settled(), nil)

	k = connected(t)
	k.Pass(packet.Node, []byte{0x81, 5, '4', '2'})
	k.is("within a message of the node", k.Left(), false)
	k = connected(t)
	k.says(packet.Node, "41")
	k.is("after a disconnect", k.Left(), false)
}

func TestRefused(t *testing.T) {
	k := connected(t)
	k.Stop()
	k.Left()
	k.Rejoin(packet.Offset{}, mask)
	k.is("refusal", k.says(packet.Node, `44{"message":"no"}`), "")
	_, refused, _ := k.Joined()
	k.is("refused", refused, true)
}

func TestConnect(t *testing.T) {
	k := &talk{t: t}
	k.says(packet.Client, "40/a?x=1,", `40/b,{}`, `40/c,{"pid":"old","z":[1]}`)
	k.says(packet.Node, `40/a?x=1,{"sid":"1","pid":"A"}`, `40/b,{"sid":"2","pid":"B"}`, `40/c,{"sid":"3","pid":"C"}`)
	o, _ := packet.ParseOffset("7-0")
	k.is("connects", read(t, k.Rejoin(o, mask)),
		`40/a?x=1,{"offset":"7-0","pid":"A"}|40/b,{"offset":"7-0","pid":"B"}|40/c,{"offset":"7-0","pid":"C","z":[1]}`)
}

// TestLearn: what was said by polling is known, but for what has changed since.
func TestLearn(t *testing.T) {
	found := map[string]string{}
	note := func(name, text string) { found[name] = text }
	packet.Polled(packet.Client, []byte("40{\"token\":1}\x1e40/a,\x1e40/b,\x1e42[\"40\"]\x1ebAAAA"), note)
	packet.Polled(packet.Node, []byte("6\x1e40{\"sid\":\"S\",\"pid\":\"P\"}\x1e40/a,{\"sid\":\"A\",\"pid\":\"PA\"}\x1e40/b,{\"sid\":\"B\",\"pid\":\"PB\"}"), note)
	if len(found) != 6 {
		t.Fatalf("%d notes: %v", len(found), found)
	}
	k := &talk{t: t}
	k.Upgrades()
	k.is("at the probe", k.Upgraded(), false)
	k.says(packet.Client, "2probe", "5")
	k.is("upgraded", k.Upgraded(), true)
	k.says(packet.Client, "41/a,")
	k.Learn(found)
	k.is("settled", k.Settled(), nil)
	k.is("left", k.Left(), true)
	o, _ := packet.ParseOffset("7-0")
	k.is("connects", len(strings.Split(read(t, k.Rejoin(o, mask)), "|")), 2)
}

// TestPieces: however the bytes come, the same is seen and passes.
func TestPieces(t *testing.T) {
	var in []byte
	long := strings.Repeat("x", 70_000)
	for _, m := range []string{`0{"sid":"a"}`, `40{"sid":"S","pid":"P"}`, `42["a","1-1"]`, `42["` + long + `","2-1"]`, `42/n,["c","3-1"]`, "2"} {
		in = packet.AppendFrame(in, text, packet.Node, []byte(m), mask)
	}
	for _, size := range []int{1, 2, 3, 7, 64, 1000, len(in)} {
		k := &talk{t: t}
		var out []byte
		for b := in; len(b) > 0; b = b[min(size, len(b)):] {
			out = append(out, k.Pass(packet.Node, bytes.Clone(b[:min(size, len(b))]))...)
		}
		if !bytes.Equal(out, in) {
			t.Errorf("in pieces of %d something else passes", size)
		}
		k.is("newest", k.Received().Newest(), "3-1")
		k.is("namespace", k.Namespaces()[0].PID, "P")
	}
}
