package report_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidway/sidway/bench/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

// full is a run with something in every part.
func full() *report.Run {
	r := newRun(map[string][]float64{
		"direct": {0, 0, 0}, "sidway": {6, 7, 8}, "nginx-1": {10, 11, 12}, "nginx-2": {9, 10, 14}, "haproxy-1": {8, 8, 8},
	})
	r.Calls = []report.Calls{{
		Workload: "poll64", Proxy: "sidway",
		PerUnit: map[string]float64{"read": 1.5, "recvfrom": 0.5, "writev": 2, "epoll_wait": 0.25, "total": 4.5},
	}}
	r.Traffic = newTraffic()
	r.Samples[3].Result.Errors, r.Samples[3].Result.FirstError = 2, "status 502"
	r.Growth, r.Storm, r.Floods = newGrowth(), newStorm(), newFloods()
	return r
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test ./bench/report -update writes it anew:\n%s", file, got)
	}
}

const parts = "machine targets traffic charts cpu throughput share latency memory peak redis foreign calls growth storm floods failures"

func TestPage(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "page.md")
	var page strings.Builder
	for part := range strings.FieldsSeq(parts) {
		page.WriteString("Prose about " + part + ".\n\n<!-- bench:" + part + " -->\n<!-- bench:end -->\n\n")
	}
	if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := full().WritePage(file); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "page.md", string(text))
	}
	for _, chart := range []string{"cpu", "throughput", "latency", "memory"} {
		text, err := os.ReadFile(filepath.Join(dir, "page", chart+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, string(text))
	}
}

// TestThePage holds the project's own page to the parts that there are.
func TestThePage(t *testing.T) {
	text, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.FieldsSeq(parts) {
		if !strings.Contains(string(text), "<!-- bench:"+part+" -->\n") {
			t.Errorf("docs/performance.md has no part %q", part)
		}
	}
	file := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := full().WritePage(file); err != nil {
		t.Error(err)
	}
}

// TestPartsThatStay fills a page from a run of one kind: the parts of all others stay.
func TestPartsThatStay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	const cpu, growth = "<!-- bench:cpu -->\nolder\n<!-- bench:end -->\n", "<!-- bench:growth -->\nold\n<!-- bench:end -->\n"
	if err := os.WriteFile(file, []byte(cpu+growth+"<!-- bench:storm -->\nold\n<!-- bench:end -->\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := (&report.Run{Storm: newStorm()}).WritePage(file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := strings.CutPrefix(string(text), cpu+growth); !ok || strings.Contains(got, "old") || !strings.Contains(got, "all back after") {
		t.Errorf("%s", text)
	}
}

func TestPageWithWrongMarkers(t *testing.T) {
	for _, page := range []string{
		"<!-- bench:nothing -->\n<!-- bench:end -->\n",
		"<!-- bench:cpu -->\n",
		"<!-- bench:cpu -->\n<!-- bench:memory -->\n<!-- bench:end -->\n",
		"<!-- bench:cpu",
	} {
		file := filepath.Join(t.TempDir(), "page.md")
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := full().WritePage(file); err == nil {
			t.Errorf("%q was taken", page)
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != page {
			t.Errorf("%q became %q, %v", page, text, err)
		}
	}
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
	}
}

func TestChart(t *testing.T) {
	c := report.Chart{
		Title: "a < b & c", Axis: `"µs"`, Series: []string{"one", "two"},
		Groups: []report.Group{
			{Label: "work", Bars: []report.Summary{{Median: 1, Min: 0.5, Max: 1.5, N: 3}, {}}},
			{Label: "below nothing", Bars: []report.Summary{{Median: -1, Min: -2, Max: 0, N: 2}, {Median: 0.1, N: 1, Max: 0.1}}},
		},
	}
	svg := string(c.SVG())
	wellFormed(t, svg)
	golden(t, "chart.svg", svg)
	wellFormed(t, string(report.Chart{}.SVG()))

	c.Groups[0].Label = strings.Repeat("long label ", 5)
	if !strings.Contains(string(c.SVG()), `<rect class="s0" x="403.5"`) {
		t.Error("bars begin before a long label ends")
	}
}

func TestSaveAndLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.json")
	if err := full().Save(file); err != nil {
		t.Fatal(err)
	}
	again, err := report.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if again.Text() != full().Text() {
		t.Error("another run was read than was written")
	}
	if _, err := report.Load(file + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestLines(t *testing.T) {
	golden(t, "lines.txt", full().Lines("sidway"))
}
