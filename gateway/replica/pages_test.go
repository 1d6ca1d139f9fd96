package replica_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	linked    = regexp.MustCompile(`\]\(([a-z/]*\.md)?#([a-z0-9-]+)\)`)
	noHeading = regexp.MustCompile(`[^\w\- ]`)
)

// Each page for people has each of its headings once, its blocks of code begin and end, and its links lead to a heading.
func TestPagesAreWhole(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(pages, "../../README.md")
	anchors, texts := map[string]map[string]bool{}, map[string]string{}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		code := false
		anchors[page] = map[string]bool{}
		for line := range strings.Lines(string(text)) {
			title, heading := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
			switch {
			case strings.HasPrefix(strings.TrimSpace(line), "```"):
				code = !code
			case !code && heading && strings.HasPrefix(line, "#"):
				anchor := strings.ReplaceAll(noHeading.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), ""), " ", "-")
				if anchors[page][anchor] {
					t.Errorf("%s has the heading %q twice", page, strings.TrimSpace(title))
				}
				anchors[page][anchor] = true
			case !code:
				texts[page] += line
			}
		}
		if code {
			t.Errorf("%s has a block of code that does not end", page)
		}
	}
	for page, text := range texts {
		for _, link := range linked.FindAllStringSubmatch(text, -1) {
			to := page
			if link[1] != "" {
				to = filepath.Join(filepath.Dir(page), link[1])
			}
			if !anchors[to][link[2]] {
				t.Errorf("%s links to %s#%s, which is not there", page, to, link[2])
			}
		}
	}
}
