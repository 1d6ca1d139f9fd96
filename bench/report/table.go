package report

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// table is rows of text below a head.
type table struct {
	head []string
	rows [][]string
}

// markdown writes it for the page.
func (t table) markdown() string {
	if len(t.rows) == 0 {
		return ""
	}
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.head)
	rule := make([]string, len(t.head))
	for i := range rule {
		rule[i] = "---"
		if i > 0 {
			rule[i] = "---:"
		}
	}
	line(rule)
	for _, row := range t.rows {
		line(row)
	}
	return b.String()
}

// text writes it for a terminal, in columns.
func (t table) text() string {
	if len(t.rows) == 0 {
		return ""
	}
	width := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range append([][]string{t.head}, t.rows...) {
		var line strings.Builder
		for i, cell := range row {
			gap := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString(cell + gap)
				continue
			}
			line.WriteString("  " + gap + cell)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// number writes three digits that matter, thousands apart.
func number(v float64) string {
	if v == 0 {
		return "0"
	}
	digits := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	text := fmt.Sprintf("%.*f", min(digits, 3), v)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return thousands(text)
}

// thousands puts commas into a number without a fraction.
func thousands(text string) string {
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	if strings.Contains(text, ".") {
		return sign + text
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return sign + text
}

// quantity is a number with its unit.
func quantity(v float64, unit string) string {
	if unit == "/s" {
		return number(v) + unit
	}
	return number(v) + " " + unit
}

// spread is a median with the least and the greatest: "12.3 (11.9–13)".
func spread(s Summary, unit string) string {
	switch {
	case s.N == 0:
		return ""
	case s.N == 1:
		return number(s.Median) + unit
	}
	return fmt.Sprintf("%s%s (%s–%s)", number(s.Median), unit, number(s.Min), number(s.Max))
}
