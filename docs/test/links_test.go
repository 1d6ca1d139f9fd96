package docs_test

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Links into the repository by its address on GitHub are followed like relative ones.
const onGitHub = "https://github.com/sidway/sidway/blob/main/"

// dead tells for each link that leads nowhere why.
func dead(all []*page) []string {
	known := map[string]*page{}
	for _, p := range all {
		known[p.name] = p
	}
	var found []string
	for _, p := range all {
		for _, l := range p.links {
			if why := p.follow(l.to, known); why != "" {
				found = append(found, fmt.Sprintf("%s:%d: %s: %s", p.name, l.line, l.to, why))
			}
		}
	}
	return found
}

// follow returns why a link of the page leads nowhere, or "".
func (p *page) follow(to string, known map[string]*page) string {
	rest, ours := strings.CutPrefix(to, onGitHub)
	if !ours && regexp.MustCompile(`^[a-z]+:`).MatchString(to) {
		return ""
	}
	file, anchor, anchored := strings.Cut(rest, "#")
	switch {
	case ours:
	case file == "":
		file = p.name
	default:
		file = path.Join(path.Dir(p.name), file)
	}
	if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(file))); err != nil && known[file] == nil || strings.HasPrefix(file, "..") {
		return "no such file"
	}
	if anchored && (known[file] == nil || !known[file].anchors[anchor]) {
		return "no such heading"
	}
	// The site, unlike GitHub, drops letters that are not ASCII from anchors.
	if strings.ContainsFunc(anchor, func(r rune) bool { return r > 127 }) {
		return "another heading on the site"
	}
	return ""
}

func TestLinks(t *testing.T) {
	all := pages(t)
	for _, d := range dead(all) {
		t.Error(d)
	}
	links := 0
	for _, p := range all {
		links += len(p.links)
		// A link whose brackets do not match is text.
		if i := regexp.MustCompile(`\]\(|\]\[`).FindIndex(p.prose); i != nil {
			t.Errorf("%s:%d: a link that is none", p.name, p.line(i[0]))
		}
	}
	if links < 200 {
		t.Errorf("only %d links are found", links)
	}
}

// A dead link is found.
func TestDeadLinks(t *testing.T) {
	a := parse(t, "docs/a.md", []byte("# One `two`: three\n\n## Again\n\n## Again\n\n[1](b.md) [2](c.md) [3](#one-two-three)\n[4](#one) [5](b.md#b) [6](b.md#c) [7](../README.md)\n\n"+
		"| [8](../readme.md) | [9](#again-1) | [10](#again-2) |\n|---|---|---|\n| [11](https://example.com) | [12]("+onGitHub+"docs/b.md#c) | ![13](no.svg) |\n"))
	b := parse(t, "docs/b.md", []byte("# B\n"))
	want := []string{
		"docs/a.md:7: c.md: no such file", "docs/a.md:8: #one: no such heading", "docs/a.md:8: b.md#c: no such heading",
		"docs/a.md:10: ../readme.md: no such file", "docs/a.md:10: #again-2: no such heading",
		"docs/a.md:12: " + onGitHub + "docs/b.md#c: no such heading", "docs/a.md:12: no.svg: no such file",
	}
	if got := dead([]*page{a, b}); !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Files of any other kind that name a page name one that is there.
func TestPagesThatAreNamed(t *testing.T) {
	known := map[string]*page{}
	for _, p := range pages(t) {
		known[p.name] = p
	}
	named, count := regexp.MustCompile(`(?:^|[^/\w.-])(docs/[\w-]+\.md)(#[\w-]+)?`), 0
	err := walk(func(name string, text []byte) {
		if strings.HasPrefix(name, "docs/test/") {
			return
		}
		for _, m := range named.FindAllSubmatch(text, -1) {
			count++
			if p := known[string(m[1])]; p == nil || len(m[2]) > 0 && !p.anchors[string(m[2][1:])] {
				t.Errorf("%s names %s%s", name, m[1], m[2])
			}
		}
	}, ".go", ".js", ".mjs", ".yaml", ".sh", ".conf", ".cfg", ".html")
	if err != nil {
		t.Fatal(err)
	}
	if count < 20 {
		t.Errorf("only %d are found", count)
	}
}

// The site's list of pages and the README's have each page.
func TestEachPageIsListed(t *testing.T) {
	config, err := os.ReadFile(root + "/site/.vitepress/config.mjs")
	if err != nil {
		t.Fatal(err)
	}
	var onSite []string
	for _, m := range regexp.MustCompile(`page\("([\w-]+)", "`).FindAllSubmatch(config, -1) {
		onSite = append(onSite, "docs/"+string(m[1])+".md")
	}
	var there, inREADME []string
	for _, p := range pages(t) {
		if strings.HasPrefix(p.name, "docs/") {
			there = append(there, p.name)
		}
		if p.name == "README.md" {
			for _, l := range p.links {
				file, _, _ := strings.Cut(l.to, "#")
				inREADME = append(inREADME, file)
			}
		}
	}
	slices.Sort(onSite)
	if !slices.Equal(onSite, there) {
		t.Errorf("the site lists %v\nof %v", onSite, there)
	}
	for _, name := range there {
		if !slices.Contains(inREADME, name) {
			t.Errorf("README.md has no link to %s", name)
		}
	}
}
