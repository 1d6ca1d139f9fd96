package packet_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/packet"
)

// payload joins packets.
func payload(packets ...string) []byte { return []byte(strings.Join(packets, "\x1e")) }

// A session that polls goes on at another node: marks and what it has got already do not reach the client.
func TestPolledTurn(t *testing.T) {
	s := packet.NewPolled(map[string]string{
		"client /": `40{"token":"x"}`, "node /": `40{"sid":"s","pid":"p"}`,
		"client /a": "40/a,", "node /a": `40/a,{"sid":"sa","pid":"pa"}`,
	})
	if err := s.Settled(); err != nil {
		t.Fatal(err)
	}
	pass := func(want []byte, packets ...string) {
		t.Helper()
		if got := s.PassPolled(payload(packets...)); string(got) != string(want) {
			t.Errorf("%q comes out as %q, want %q", packets, got, want)
		}
	}
	s.Mark("m1")
	pass(payload("2", `42["before","1-1"]`, `42["behind","1-3"]`), "2", `42["before","1-1"]`, `42["sidway:mark","m1","1-2"]`, `42["behind","1-3"]`)
	if !s.Marked() {
		t.Error("the mark has not come")
	}
	s.MarkAgain("m2")
	pass(payload(`451-["late",{"_placeholder":true,"num":0},"1-4"]`, "bAAAA"), `451-["late",{"_placeholder":true,"num":0},"1-4"]`, "bAAAA", `42["sidway:mark","m2","1-5"]`)
	if !s.Marked() || s.Settled() != nil || !s.Left() {
		t.Fatalf("marked %v, settled %v", s.Marked(), s.Settled())
	}
	at, _ := packet.ParseOffset("1-2")
	connects := strings.Split(string(s.RejoinPolled(at)), "\x1e")
	slices.Sort(connects)
	if want := []string{`40/a,{"offset":"1-2","pid":"pa"}`, `40{"offset":"1-2","pid":"p","token":"x"}`}; !slices.Equal(connects, want) {
		t.Errorf("the new node is asked %q", connects)
	}
	pass(nil, `40{"sid":"s","pid":"p"}`, `42["behind","1-3"]`, `451-["late",{"_placeholder":true,"num":0},"1-4"]`, "bAAAA", `42["sidway:mark","m2","1-5"]`)
	if done, _, _ := s.Joined(); done {
		t.Error("joined before the second namespace")
	}
	pass(payload(`42["missed","1-6"]`), `40/a,{"sid":"sa","pid":"pa"}`, `42["missed","1-6"]`)
	if done, refused, renewed := s.Joined(); !done || refused || renewed != 0 {
		t.Errorf("done %v, refused %v, renewed %d", done, refused, renewed)
	}
}

// Without what the client has said when it asked for a namespace, a node could not be told who that is.
func TestPolledWithoutTheClientsWords(t *testing.T) {
	found := map[string]string{"client /": `40{"token":"x"}`, "node /": `40{"sid":"s","pid":"p"}`, "node /a": `40/a,{"sid":"sa","pid":"pa"}`}
	if err := packet.NewPolled(found).Settled(); err != packet.ErrNoNamespace {
		t.Errorf("without what it said to /a: %v", err)
	}
	found["client /a"] = "40/a,"
	if err := packet.NewPolled(found).Settled(); err != nil {
		t.Error(err)
	}
}

func TestWithoutMarks(t *testing.T) {
	b := payload("2", `42["sidway:mark","x","1-1"]`, `42["sidway:mar",1]`, `42/a,["sidway:mark","y"]`)
	if got := packet.WithoutMarks(b); !packet.HasMark(b) || string(got) != string(payload("2", `42["sidway:mar",1]`)) {
		t.Errorf("%q", got)
	}
	if got := packet.WithoutMarks(payload(`42["sidway:mark","x"]`)); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// What one side asks for is what the other gives.
func TestAcks(t *testing.T) {
	asked, given := packet.Acks(packet.Client, payload(`421["a"]`, `42["b"]`, `42/n,7["c"]`, `433["d"]`, `461-4[{"_placeholder":true,"num":0}]`))
	if !slices.Equal(asked, []string{"node 1 /", "node 7 /n"}) || !slices.Equal(given, []string{"client 3 /", "client 4 /"}) {
		t.Errorf("asked %q, given %q", asked, given)
	}
	asked, given = packet.Acks(packet.Node, payload(`431[]`, `43/n,7[]`, `423["d"]`))
	if !slices.Equal(given, []string{"node 1 /", "node 7 /n"}) || !slices.Equal(asked, []string{"client 3 /"}) {
		t.Errorf("asked %q, given %q", asked, given)
	}
}

// The offsets of a payload are those that its client takes.
func TestOffsets(t *testing.T) {
	got := packet.Offsets(payload("2", `42["a","1-1"]`, `42/x,["b",{"c":1},"2-0"]`, `427["asks","3-0"]`, `42["none"]`, `430["4-0"]`,
		`451-["late",{"_placeholder":true,"num":0},"5-4"]`, "bAAAA", `40{"sid":"6-0"}`))
	if want := []string{"1-1", "2-0", "5-4"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	s := packet.NewPolled(nil)
	s.Recall(got)
	if o, _ := packet.ParseOffset("5-4"); s.Received().Newest() != o || !s.Received().Got(o) || !s.Received().Oldest().IsZero() {
		t.Errorf("newest %v, oldest %v", s.Received().Newest(), s.Received().Oldest())
	}
}

// Acknowledgements are left out of a payload with their attachments, and nothing else is.
func TestWithoutAcks(t *testing.T) {
	all := payload(`42["a"]`, `430["old"]`, `461-7[{"_placeholder":true,"num":0}]`, "bAAAA", `451-["kept",{"_placeholder":true,"num":0}]`, "bBBBB", `43/x,0["kept"]`, `427["asks"]`)
	want := payload(`42["a"]`, `451-["kept",{"_placeholder":true,"num":0}]`, "bBBBB", `43/x,0["kept"]`, `427["asks"]`)
	if got := packet.WithoutAcks(all, []string{"client 0 /", "client 7 /"}); string(got) != string(want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := packet.WithoutAcks(payload(`430["old"]`), []string{"client 0 /"}); len(got) != 0 {
		t.Errorf("%q is left", got)
	}
}
