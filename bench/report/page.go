package report

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// WriteCharts writes the run's charts into a folder, which it makes, and returns their paths.
func (r *Run) WriteCharts(dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	var files []string
	for name, c := range r.charts() {
		file := filepath.Join(dir, name+".svg")
		if err := os.WriteFile(file, c.SVG(), 0o644); err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		files = append(files, file)
	}
	slices.Sort(files)
	return files, nil
}

// WritePage fills the parts of a page that stand between markers, and leaves what is written by hand:
//
//	<!-- bench:cpu -->
//	…
//	<!-- bench:end -->
//
// What nothing was measured for stays as it is: parts of runs of their own, and all others where the run has no samples.
// The charts go into a folder beside it with the page's name, and their part, "charts", refers to them there.
func (r *Run) WritePage(file string) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	parts, err := r.parts(strings.TrimSuffix(file, filepath.Ext(file)))
	if err != nil {
		return err
	}
	text, err := fill(string(page), parts)
	if err != nil {
		return fmt.Errorf("report: %s: %w", file, err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// keep is the part that stays as it is.
const keep = "keep"

// parts are the page's parts by name; the charts are written into a folder.
func (r *Run) parts(folder string) (map[string]string, error) {
	parts := map[string]string{"charts": keep}
	own := map[string]*Run{"growth": r.Growth, "traffic": r.Traffic, "storm": r.Storm, "floods": r.Floods, "tls": r.TLS, "moving": r.Moving}
	for _, s := range r.sections() {
		of, alone := own[s.name]
		unmeasured := len(r.Samples) == 0 && !(s.name == "calls" && len(r.Calls) > 0)
		if parts[s.name] = s.body; alone && of == nil || !alone && unmeasured {
			parts[s.name] = keep
		}
	}
	if len(r.Samples) == 0 {
		return parts, nil
	}
	charts, err := r.WriteCharts(folder)
	var images strings.Builder
	for _, chart := range charts {
		name := strings.TrimSuffix(filepath.Base(chart), ".svg")
		fmt.Fprintf(&images, "![%s](%s/%s)\n", r.charts()[name].Title, filepath.Base(folder), filepath.Base(chart))
	}
	parts["charts"] = images.String()
	return parts, err
}

const (
	markBegin = "<!-- bench:"
	markClose = " -->\n"
	markEnd   = "<!-- bench:end -->"
)

// fill replaces what is between markers by the parts of the same names.
func fill(page string, parts map[string]string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(page, markBegin)
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, rest, ok := strings.Cut(rest, markClose)
		part, known := parts[name]
		if !ok || !known {
			return "", fmt.Errorf("no part has the name %q", name)
		}
		old, rest, ok := strings.Cut(rest, markEnd)
		if !ok || strings.Contains(old, markBegin) {
			return "", fmt.Errorf("the part %q does not end", name)
		}
		b.WriteString(markBegin + name + markClose)
		switch part {
		case keep:
			b.WriteString(old)
		case "":
		default:
			b.WriteString("\n" + part + "\n")
		}
		b.WriteString(markEnd)
		page = rest
	}
}
