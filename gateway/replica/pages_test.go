package replica_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	linked    = regexp.MustCompile(`\]\(([^)\s]*)\)`)
	noHeading = regexp.MustCompile(`[^\w\- ]`)
)

// A page is what people read of a file: its headings as links name them, and its text without code.
type page struct {
	anchors []string
	text    string
}

// Each page for people has each of its headings once, its blocks of code begin and end, and its links lead to a file and a heading that
// are there. Sites elsewhere are not asked.
func TestPagesAreWhole(t *testing.T) {
	const root = "../.."
	pages := map[string]page{}
	for _, pattern := range []string{"docs/*.md", "*.md", "examples/*.md", "examples/*/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			pages[file] = readPage(t, file)
		}
	}
	if len(pages) < 25 {
		t.Errorf("only %d pages", len(pages))
	}
	links := 0
	for file, p := range pages {
		for _, link := range linked.FindAllStringSubmatch(p.text, -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			links++
			to, anchor, _ := strings.Cut(link[1], "#")
			if to = filepath.Join(filepath.Dir(file), to); strings.HasPrefix(link[1], "#") {
				to = file
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s: %v", file, link[1], err)
			} else if anchor != "" && !slices.Contains(pages[to].anchors, anchor) {
				t.Errorf("%s links to %s, which is no heading", file, link[1])
			}
		}
	}
	if links < 100 {
		t.Errorf("only %d links", links)
	}
}

func readPage(t *testing.T, file string) (p page) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	code := false
	for line := range strings.Lines(string(text)) {
		title, heading := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			code = !code
		case !code && heading && strings.HasPrefix(line, "#"):
			anchor := strings.ReplaceAll(noHeading.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), ""), " ", "-")
			if slices.Contains(p.anchors, anchor) {
				t.Errorf("%s has the heading %q twice", file, strings.TrimSpace(title))
			}
			p.anchors = append(p.anchors, anchor)
		case !code && !strings.HasPrefix(line, "    "):
			p.text += line
		}
	}
	if code {
		t.Errorf("%s has a block of code that does not end", file)
	}
	return p
}
