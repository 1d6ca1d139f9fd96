package history_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/bench/checker/history"
)

// written makes a history of lines "time by kind sid [words]", where a client's name begins with c and a node's with n. The words are
// up or down, a number, and key=value.
func written(t *testing.T, text string) []history.Event {
	t.Helper()
	var events []history.Event
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		at, err := time.ParseDuration(words[0])
		if err != nil {
			t.Fatal(err)
		}
		e := history.Event{At: at, Tap: history.Client, By: words[1], Kind: history.Kind(words[2]), SID: words[3]}
		if strings.HasPrefix(e.By, "n") {
			e.Tap = history.Node
		}
		for _, w := range words[4:] {
			key, value, _ := strings.Cut(w, "=")
			switch key {
			case "up", "down":
				e.Dir = history.Direction(key)
			case "of":
				e.Of = value
			case "bad":
				e.Bad = true
			case "why":
				e.Why = value
			case "on":
				e.Fronts = strings.Split(value, ",")
			default: // seq=4 for Seq, due=4 for Due, code=503 for Status
				if err := json.Unmarshal([]byte(`{"`+key+`":`+value+`}`), &e); err != nil {
					t.Fatal(err)
				}
			}
		}
		events = append(events, e)
	}
	slices.SortStableFunc(events, func(a, b history.Event) int { return int(a.At - b.At) })
	return events
}

// lived is a session in which two messages went up and one came down, to its end.
const lived = `
	1s n1/7 open A
	1s c1 open A why=polling
	1s c1 on A on=f1
	1s c1 connected A
	2s c1 send A up seq=0
	2s n1/7 receive A up seq=0
	2s c1 ack A up seq=0
	3s c1 send A up seq=1
	3s n1/7 receive A up seq=1
	3s c1 ack A up seq=1
	3s n1/7 send A down seq=0
	4s c1 receive A down seq=0
`

// settles is how it ends well.
const settles = `
	9s c1 settled A due=1
	9s c1 end A why=stopped
`

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		history string
		flaws   []history.Flaw
	}{
		"all is well":                     {lived + settles, nil},
		"nothing happened":                {"", nil},
		"message twice":                   {lived + settles + "5s n1/7 receive A up seq=1", []history.Flaw{history.Doubled}},
		"message twice at the client":     {lived + settles + "5s c1 receive A down seq=0", []history.Flaw{history.Doubled}},
		"twice across nodes":              {lived + settles + "5s n2/8 receive A up seq=1", []history.Flaw{history.TwoNodes, history.Doubled}},
		"the node was another process":    {lived + settles + "5s n1/9 open A", []history.Flaw{history.TwoNodes}},
		"a session of two clients":        {lived + settles + "5s c2 open A\n9s c2 end A why=stopped", []history.Flaw{history.CrossTalk}},
		"gap before the last message":     {lived + settles + "5s c1 send A up seq=2\n5s c1 send A up seq=3\n6s n1/7 receive A up seq=3", []history.Flaw{history.Gap}},
		"gap at the end of a living one":  {lived + settles + "5s c1 send A up seq=2", []history.Flaw{history.Gap}},
		"gap that the node has announced": {lived + "9s c1 settled A due=2\n9s c1 end A why=stopped", []history.Flaw{history.Gap}},
		"gap before a loss":               {lived + "5s n1/7 send A down seq=1\n5s n1/7 send A down seq=2\n6s c1 receive A down seq=2\n7s c1 end A why=reset\n8s c1 connected B", []history.Flaw{history.Gap, history.Unexplained}},
		"end of a lost one is missing":    {lived + "5s c1 send A up seq=2\n7s c1 end A why=reset", []history.Flaw{history.Unexplained}},
		"order changed": {
			lived + settles + "5s c1 send A up seq=2\n5s c1 send A up seq=3\n6s n1/7 receive A up seq=3\n7s n1/7 receive A up seq=2",
			[]history.Flaw{history.Reordered},
		},
		"acknowledged and not received":  {lived + settles + "5s c1 send A up seq=2\n6s c1 ack A up seq=2", []history.Flaw{history.Gap, history.FalseAck}},
		"node's message acknowledged":    {lived + settles + "5s n1/7 ack A down seq=0", nil},
		"node's message wrongly so":      {lived + settles + "5s n1/7 ack A down seq=1", []history.Flaw{history.FalseAck}},
		"message of another session":     {lived + settles + "5s c1 receive A down seq=5 of=B", []history.Flaw{history.CrossTalk}},
		"message changed":                {lived + settles + "5s c1 receive A down seq=1 bad", []history.Flaw{history.Corrupt}},
		"message that nobody sent":       {lived + settles + "5s c1 receive A down seq=1", []history.Flaw{history.Corrupt}},
		"never settled":                  {lived + "9s c1 end A why=stopped", []history.Flaw{history.Unsettled}},
		"no end":                         {lived, []history.Flaw{history.Unsettled}},
		"cut by itself":                  {lived + "9s c1 end A why=cut", nil},
		"vanished":                       {lived + "9s c1 end A why=vanished", nil},
		"lost":                           {lived + "9s c1 end A why=reset", []history.Flaw{history.Unexplained}},
		"refused":                        {lived + settles + "9s c2 refused - code=503", []history.Flaw{history.Refusal}},
		"polls for good":                 {lived + settles + "5s c1 polling A why=503", []history.Flaw{history.NoUpgrade}},
		"strays alone":                   {lived + settles + "5s n2/8 stray A", nil},
		"orphan of a cut handshake":      {lived + settles + "5s n2/8 open B\n6s n2/8 end B why=ping", nil},
		"orphan that was told something": {lived + settles + "5s n2/8 open B\n6s n2/8 receive B up seq=1", []history.Flaw{history.Gap, history.Corrupt}},
	} {
		t.Run(name, func(t *testing.T) {
			v := history.Judge(written(t, c.history), nil)
			var found []history.Flaw
			for _, f := range v.Findings {
				if !slices.Contains(found, f.Flaw) {
					found = append(found, f.Flaw)
				}
			}
			slices.Sort(found)
			slices.Sort(c.flaws)
			if !slices.Equal(found, c.flaws) || v.Sound() != (len(found) == 0 && c.history != "") {
				t.Errorf("found %v, want %v\n%v", found, c.flaws, v)
			}
		})
	}
}

// Two clients of two nodes lose their sessions, and come back 2 s and 9 s after the fault began.
const lost = lived + `
	1s n2/8 open B
	1s c2 open B why=websocket
	1s c2 on B on=f2
	1s c2 connected B
	11s c1 end A why=reset on=f1
	12s c2 end B why=reset on=f2
	12s c1 open C
	12s c1 connected C
	19s c2 open D
	19s c2 connected D
	30s c2 settled D
	30s c2 end D why=stopped
`

// stays is how the first client's second session ends.
const stays = "30s c1 settled C\n30s c1 end C why=stopped\n"

func TestInjuries(t *testing.T) {
	fault := history.Injury{Fault: "fault", Began: 10 * time.Second, Ended: 20 * time.Second}
	with := func(change func(*history.Injury)) history.Injury {
		i := fault
		change(&i)
		return i
	}
	everybody := with(func(i *history.Injury) { i.Excuses = history.Everybody })
	for name, c := range map[string]struct {
		history  string
		injuries []history.Injury
		findings map[history.Flaw]int
		lost     []int // of each injury
		allowed  []int
	}{
		"no injury":      {lost + stays, nil, map[history.Flaw]int{history.Unexplained: 2}, nil, nil},
		"excuses nobody": {lost + stays, []history.Injury{with(func(i *history.Injury) { i.Excuses = history.Nobody })}, map[history.Flaw]int{history.Unexplained: 2}, []int{0}, []int{0}},
		"excuses all":    {lost + stays, []history.Injury{everybody}, nil, []int{2}, []int{2}},
		"was over":       {lost + stays, []history.Injury{with(func(i *history.Injury) { i.Excuses, i.Ended = history.Everybody, 11500*time.Millisecond })}, map[history.Flaw]int{history.Unexplained: 1}, []int{1}, []int{2}},
		"came later":     {lost + stays, []history.Injury{with(func(i *history.Injury) { i.Excuses, i.Began = history.Everybody, 11500*time.Millisecond })}, map[history.Flaw]int{history.Unexplained: 1}, []int{1}, []int{1}},
		"a node":         {lost + stays, []history.Injury{with(func(i *history.Injury) { i.Excuses, i.Nodes = history.SessionsOfNodes, []string{"n2"} })}, map[history.Flaw]int{history.Unexplained: 1}, []int{1}, []int{1}},
		"a replica":      {lost + stays, []history.Injury{with(func(i *history.Injury) { i.Excuses, i.Replicas = history.SessionsOnReplicas, []string{"f1"} })}, map[history.Flaw]int{history.Unexplained: 1}, []int{1}, []int{1}},
		"a node, a replica": {lost + stays, []history.Injury{
			with(func(i *history.Injury) { i.Excuses, i.Nodes = history.SessionsOfNodes, []string{"n2"} }),
			with(func(i *history.Injury) { i.Excuses, i.Replicas = history.SessionsOnReplicas, []string{"f1"} }),
		}, nil, []int{1, 1}, []int{1, 1}},
		"back in time":     {lost + stays, []history.Injury{with(func(i *history.Injury) { i.Excuses, i.Back = history.Everybody, 9*time.Second })}, nil, []int{2}, []int{2}},
		"back too late":    {lost + stays, []history.Injury{with(func(i *history.Injury) { i.Excuses, i.Back = history.Everybody, 8*time.Second })}, map[history.Flaw]int{history.Late: 1}, []int{2}, []int{2}},
		"never back":       {lived + "11s c1 end A why=reset", []history.Injury{everybody}, map[history.Flaw]int{history.NotBack: 1}, []int{1}, []int{1}},
		"lost again":       {lost + "13s c1 end C why=reset\n14s c1 open E\n14s c1 connected E\n30s c1 settled E\n30s c1 end E why=stopped", []history.Injury{with(func(i *history.Injury) { i.Excuses, i.Once = history.Everybody, true })}, map[history.Flaw]int{history.Unexplained: 1}, []int{2}, []int{2}},
		"cut":              {lived + "11s c1 end A why=cut\n12s c1 connected B", []history.Injury{with(func(i *history.Injury) { i.Excuses, i.Back = history.SessionsCut, time.Second })}, map[history.Flaw]int{history.Late: 1}, []int{1}, []int{1}},
		"refused":          {lived + settles + "12s c2 refused - code=503", []history.Injury{with(func(i *history.Injury) { i.Refuses = true })}, nil, []int{0}, []int{0}},
		"cut on a replica": {lived + settles + "12s c2 refused - on=f1", []history.Injury{with(func(i *history.Injury) { i.Excuses, i.Replicas = history.SessionsOnReplicas, []string{"f1"} })}, nil, []int{0}, []int{0}},
		"cut on another":   {lived + settles + "12s c2 refused - on=f2", []history.Injury{with(func(i *history.Injury) { i.Excuses, i.Replicas = history.SessionsOnReplicas, []string{"f1"} })}, map[history.Flaw]int{history.Refusal: 1}, []int{0}, []int{0}},
		"told no there":    {lived + settles + "12s c2 refused - on=f1 code=503", []history.Injury{with(func(i *history.Injury) { i.Excuses, i.Replicas = history.SessionsOnReplicas, []string{"f1"} })}, map[history.Flaw]int{history.Refusal: 1}, []int{0}, []int{0}},
		"its node is gone": {lived + settles + "12s c1 polling A why=400", []history.Injury{with(func(i *history.Injury) { i.Excuses, i.Nodes = history.SessionsOfNodes, []string{"n1"} })}, nil, []int{0}, []int{0}},
		"another is gone":  {lived + settles + "12s c1 polling A why=400", []history.Injury{with(func(i *history.Injury) { i.Excuses, i.Nodes = history.SessionsOfNodes, []string{"n2"} })}, map[history.Flaw]int{history.NoUpgrade: 1}, []int{0}, []int{0}},
		"polls for good":   {lived + settles + "12s c1 polling A why=503", []history.Injury{with(func(i *history.Injury) { i.Polling = true })}, nil, []int{0}, []int{0}},
	} {
		t.Run(name, func(t *testing.T) {
			v := history.Judge(written(t, c.history), c.injuries)
			for _, f := range v.Findings {
				if c.findings[f.Flaw] != v.Count(f.Flaw) {
					t.Errorf("%d %s", v.Count(f.Flaw), f.Flaw)
				}
			}
			for flaw, n := range c.findings {
				if v.Count(flaw) != n {
					t.Errorf("%d %s, want %d", v.Count(flaw), flaw, n)
				}
			}
			var lost, allowed []int
			for _, o := range v.Outcomes {
				lost, allowed = append(lost, o.Lost), append(allowed, o.Allowed)
			}
			if !slices.Equal(lost, c.lost) || !slices.Equal(allowed, c.allowed) {
				t.Errorf("lost %v of %v, want %v of %v", lost, allowed, c.lost, c.allowed)
			}
			if t.Failed() {
				t.Log(v)
			}
		})
	}
}

// What a writer writes is read as it was, in the order of time, and a line that a killed process left unfinished is left out.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	w, err := history.Create(filepath.Join(dir, "client.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	first := history.Event{Tap: history.Client, By: "c1", Kind: history.Receive, SID: "A", Of: "B", Dir: history.Down, Seq: 3, Bad: true, Fronts: []string{"f"}}
	w.Write(first)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "node.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(f)
	_, _ = out.WriteString(`{"at":1,"tap":"node","by":"n1/7","kind":"open","sid":"A"}` + "\n" + `{"at":2,"tap":"no`)
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	events, err := history.Read(dir)
	if err != nil || len(events) != 2 || events[0].By != "n1/7" {
		t.Fatalf("%+v, %v", events, err)
	}
	first.At = events[1].At
	if got, want := mustJSON(t, events[1]), mustJSON(t, first); got != want || first.At == 0 {
		t.Errorf("read %s, want %s", got, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "broken.jsonl"), []byte("no JSON\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := history.Read(dir); err == nil {
		t.Error("a line that is none was read")
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
