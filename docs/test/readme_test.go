package docs_test

import (
	"maps"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// rows of README.md's table of costs, and of docs/performance.md, which the figures are from.
var costs = map[string]string{
	"a poll, 64 kept connections":                       "poll, 64 connections, per request",
	"a poll, 512 kept connections":                      "poll, 512 connections, per request",
	"a frame of 60 B, 200 tunnels":                      "frame of 60 B, 200 tunnels, per frame",
	"a frame of 60 B, 2,000 tunnels":                    "frame of 60 B, 2,000 tunnels, per frame",
	"WebSocket connect + close":                         "WebSocket connect + close, per connection",
	"a polling handshake (sidway: stored in Redis too)": "polling handshake, per request",
	"user memory of an idle tunnel":                     "user memory per idle tunnel",
	"a poll by TLS, 64 kept connections":                "poll over TLS, 64 kept connections, CPU per request",
}

var figure = regexp.MustCompile(`^([0-9.]+)`)

// table returns the cells of the rows between two marks, by their first one.
func table(t *testing.T, file, from, to string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(root + "/" + file)
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(text), from)
	part, _, found := strings.Cut(part, to)
	if !found {
		t.Fatalf("%s has no part from %q to %q", file, from, to)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(part) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows[cells[0]] = cells
	}
	return rows
}

// least is the smallest figure of some columns.
func least(t *testing.T, row []string, columns ...int) float64 {
	t.Helper()
	low := math.Inf(1)
	for _, c := range columns {
		f, err := strconv.ParseFloat(figure.FindString(row[c]), 64)
		if err != nil {
			t.Fatalf("%v: %v", row, err)
		}
		low = min(low, f)
	}
	return low
}

// The README's figures are those of docs/performance.md, rounded, and of each rival the better form.
func TestFiguresOfTheREADME(t *testing.T) {
	stated := table(t, "README.md", "## What it costs\n", "\n## ")
	cpu := table(t, "docs/performance.md", "<!-- bench:cpu -->", "<!-- bench:end -->")
	targets := table(t, "docs/performance.md", "<!-- bench:targets -->", "<!-- bench:end -->")
	maps.Copy(targets, table(t, "docs/performance.md", "<!-- bench:tls -->", "<!-- bench:end -->"))
	forms := func(family string) (columns []int) {
		for i, name := range cpu["work"] {
			if strings.HasPrefix(name, family) {
				columns = append(columns, i)
			}
		}
		return columns
	}
	for name, source := range costs {
		row, known := stated[name]
		if !known {
			t.Errorf("README.md has no row %q", name)
			continue
		}
		var want [3]float64
		if r, ok := cpu[source]; ok {
			want = [3]float64{least(t, r, forms("sidway")...), least(t, r, forms("nginx")...), least(t, r, forms("haproxy")...)}
		} else if r, ok := targets[source]; ok { // sidway, nginx, its ratio, target and result, HAProxy
			want = [3]float64{least(t, r, 1), least(t, r, 2), least(t, r, 6)}
		} else {
			t.Errorf("docs/performance.md has no row %q", source)
			continue
		}
		for i, w := range want {
			text := figure.FindString(row[i+1])
			_, decimals, _ := strings.Cut(text, ".")
			if rounded := strconv.FormatFloat(w, 'f', len(decimals), 64); rounded != text {
				t.Errorf("README.md: %s: %s, and docs/performance.md has %v", name, text, w)
			}
		}
	}
	if len(stated) < len(costs) {
		t.Errorf("README.md has %d rows", len(stated))
	}
}
