// Package table shows what faults cost: a row for each fault with what is asked for, and beside it what came out with each proxy.
package table

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sidway/sidway/bench/checker/history"
)

// A Result is one run.
type Result struct {
	Fault    string          `json:"fault"`
	Through  string          `json:"through"` // sidway or haproxy
	Seed     uint64          `json:"seed"`
	None     string          `json:"none,omitempty"`  // why there is no such fault with this proxy; then it has no more fields
	Error    string          `json:"error,omitempty"` // why there is no verdict
	Verdict  history.Verdict `json:"verdict"`
	Flaws    []string        `json:"flaws,omitempty"`   // what the judge does not see
	Figures  []string        `json:"figures,omitempty"` // what was measured
	Failures int             `json:"failures"`          // answers with a status of 500 and more, by the access logs
	Dir      string          `json:"dir,omitempty"`     // where its histories are, if they were kept
	Took     time.Duration   `json:"took"`
}

// Sound tells whether the run came out as it is asked for.
func (r Result) Sound() bool {
	return r.None != "" || r.Error == "" && r.Verdict.Sound() && len(r.Flaws) == 0
}

// A Row is a fault and what is asked for.
type Row struct{ Fault, Asks string }

// Write writes the table, in Markdown, of all runs of each fault together.
func Write(w io.Writer, rows []Row, results []Result, proxies []string) error {
	head, rule := "| fault | what is asked for |", "|---|---|"
	for _, p := range proxies {
		head += fmt.Sprintf(" %s: lost of allowed | not allowed | messages lost | doubled | 99 %% back | 5xx | verdict |", p)
		rule += "---:|---:|---:|---:|---:|---:|---|"
	}
	if _, err := fmt.Fprintf(w, "%s\n%s\n", head, rule); err != nil {
		return err
	}
	for _, row := range rows {
		line := fmt.Sprintf("| %s | %s |", row.Fault, row.Asks)
		for _, p := range proxies {
			var runs []Result
			for _, r := range results {
				if r.Fault == row.Fault && r.Through == p {
					runs = append(runs, r)
				}
			}
			line += cell(runs)
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// cell sums up the runs of one fault through one proxy.
func cell(runs []Result) string {
	if len(runs) == 0 {
		return " | | | | | | not run |"
	}
	if runs[0].None != "" {
		return " | | | | | | " + runs[0].None + " |"
	}
	var lost, allowed, unexplained, gaps, doubled, failures int
	var back time.Duration
	for _, r := range runs {
		for _, o := range r.Verdict.Outcomes {
			lost += o.Lost
			allowed += o.Allowed
			back = max(back, o.Back)
		}
		failures += r.Failures
		unexplained += r.Verdict.Count(history.Unexplained)
		gaps += r.Verdict.Count(history.Gap)
		doubled += r.Verdict.Count(history.Doubled)
	}
	took := "-"
	if back > 0 {
		took = fmt.Sprintf("%.1f s", back.Seconds())
	}
	return fmt.Sprintf(" %d of %d | %d | %d | %d | %s | %d | %s |", lost, allowed, unexplained, gaps, doubled, took, failures, verdict(runs))
}

// verdict is "yes", or what was wrong, the commonest first.
func verdict(runs []Result) string {
	wrong := map[string]int{}
	for _, r := range runs {
		for _, f := range r.Verdict.Findings {
			wrong[string(f.Flaw)]++
		}
		for _, f := range r.Flaws {
			wrong[f]++
		}
		if r.Error != "" {
			wrong["no verdict: "+firstLine(r.Error)]++
		} else if r.Verdict.Messages == 0 {
			wrong["nothing was exchanged"]++
		}
	}
	if len(wrong) == 0 {
		return "yes"
	}
	var words []string
	for word := range wrong {
		words = append(words, word)
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Or(cmp.Compare(wrong[b], wrong[a]), strings.Compare(a, b)) })
	for i, word := range words {
		if wrong[word] > 1 || !strings.Contains(word, " ") {
			words[i] = fmt.Sprintf("%d %s", wrong[word], word)
		}
	}
	return "**no**: " + strings.Join(words, "; ")
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
