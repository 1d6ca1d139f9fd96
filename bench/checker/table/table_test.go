package table_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/bench/checker/history"
	"github.com/sidway/sidway/bench/checker/table"
)

// All runs of a fault are one row, whose verdict is yes only where each of them is sound and none is missing.
func TestTable(t *testing.T) {
	run := func(lost, allowed int, back time.Duration, flaws ...history.Flaw) table.Result {
		v := history.Verdict{Sessions: 10, Messages: 100, Outcomes: []history.Outcome{{Lost: lost, Allowed: allowed, Back: back}}}
		for _, f := range flaws {
			v.Findings = append(v.Findings, history.Finding{Flaw: f})
		}
		return table.Result{Fault: "node-kill", Through: "sidway", Verdict: v}
	}
	failed := table.Result{Fault: "node-kill", Through: "sidway", Error: "stage: no\nroot"}
	for name, c := range map[string]struct {
		runs []table.Result
		want string
	}{
		"sound":      {[]table.Result{run(3, 4, 1500*time.Millisecond), run(2, 2, 0)}, "| 5 of 6 | 0 | 0 | 0 | 1.5 s | 0 | yes |"},
		"flaws":      {[]table.Result{run(3, 4, 0), run(0, 0, 0, history.Unexplained, history.Gap, history.Gap)}, "| 3 of 4 | 1 | 2 | 0 | - | 0 | **no**: 2 gap; 1 unexplained |"},
		"no verdict": {[]table.Result{failed}, "| 0 of 0 | 0 | 0 | 0 | - | 0 | **no**: no verdict: stage: no |"},
		"not run":    {nil, "| | | | | | | not run |"},
		"no such":    {[]table.Result{{Fault: "node-kill", Through: "sidway", None: "it has no Redis"}}, "| | | | | | | it has no Redis |"},
	} {
		var b strings.Builder
		if err := table.Write(&b, []table.Row{{Fault: "node-kill", Asks: "little"}}, c.runs, []string{"sidway"}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "| node-kill | little "+c.want) {
			t.Errorf("%s:\n%s", name, b.String())
		}
	}
	if quiet := (table.Result{}); quiet.Sound() {
		t.Error("a run in which nothing happened is sound")
	}
}
