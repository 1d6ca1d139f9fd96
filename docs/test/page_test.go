// Package docs_test holds every page of the repository to its links and to its spelling. It asks nobody else: links that lead out of the
// repository are not followed.
package docs_test

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// root is the top of the repository.
const root = "../.."

// page is one file of Markdown.
type page struct {
	name    string // from the top of the repository, with /
	source  []byte
	anchors map[string]bool // of its headings, as GitHub makes them
	links   []link          // and pictures
	prose   []byte          // the source with spaces for all that is no sentence, and 0 for code inside of one
}

type link struct {
	to   string
	line int
}

var reader = goldmark.New(goldmark.WithExtensions(extension.GFM))

// parse reads a page. A page may not hold HTML, since neither links nor words are looked for in it; comments may stand.
func parse(t *testing.T, name string, source []byte) *page {
	t.Helper()
	p := &page{name: name, source: source, anchors: map[string]bool{}, prose: blanks(source)}
	err := ast.Walk(reader.Parser().Parse(text.NewReader(source)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			p.anchor(slug(p.textOf(n)))
		case *ast.Link:
			p.link(n, n.Destination)
		case *ast.Image:
			p.link(n, n.Destination)
		case *ast.AutoLink:
			return ast.WalkSkipChildren, nil
		case *ast.HTMLBlock:
			if !bytes.HasPrefix(n.Lines().Value(source), []byte("<!--")) {
				t.Errorf("%s:%d: HTML", name, p.line(n.Lines().At(0).Start))
			}
		case *ast.RawHTML:
			t.Errorf("%s:%d: HTML", name, p.line(n.Segments.At(0).Start))
		case *ast.Text:
			s := n.Segment
			if _, code := n.Parent().(*ast.CodeSpan); code {
				copy(p.prose[s.Start-1:], strings.Repeat("0", s.Len()+2)) // and the quotes around it
			} else {
				copy(p.prose[s.Start:], s.Value(source))
			}
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// blanks is a source of which only the line ends are left.
func blanks(source []byte) []byte {
	b := bytes.Repeat([]byte(" "), len(source))
	for i, c := range source {
		if c == '\n' {
			b[i] = c
		}
	}
	return b
}

// textOf returns the words of a heading, those of code and of links too.
func (p *page) textOf(n ast.Node) string {
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			b.Write(t.Value(p.source))
		} else {
			b.WriteString(p.textOf(c))
		}
	}
	return b.String()
}

// slug is the anchor that GitHub gives to a heading.
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.In(r, unicode.Letter, unicode.Mark, unicode.Number):
			return unicode.ToLower(r)
		default:
			return -1
		}
	}, strings.TrimSpace(heading))
}

// anchor adds a heading; the second one of the same words gets -1.
func (p *page) anchor(s string) {
	unique := s
	for i := 1; p.anchors[unique]; i++ {
		unique = s + "-" + strconv.Itoa(i)
	}
	p.anchors[unique] = true
}

func (p *page) link(n ast.Node, to []byte) {
	at := 0
	for ; n != nil; n = n.Parent() {
		if n.Type() == ast.TypeBlock && n.Lines().Len() > 0 {
			at = n.Lines().At(0).Start
			break
		}
	}
	if i := bytes.Index(p.source[at:], []byte("("+string(to)+")")); i > 0 {
		at += i
	}
	p.links = append(p.links, link{string(to), p.line(at)})
}

func (p *page) line(offset int) int { return 1 + bytes.Count(p.source[:offset], []byte("\n")) }

// walk shows each file whose name ends so, but what is installed, built or made up for tests.
func walk(visit func(name string, content []byte), endings ...string) error {
	return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case "node_modules", "testdata", "bin", "dist", ".git":
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains(endings, path.Ext(file)) {
			return nil
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err == nil {
			visit(filepath.ToSlash(name), content)
		}
		return err
	})
}

// pages reads all of the repository.
func pages(t *testing.T) []*page {
	t.Helper()
	var all []*page
	if err := walk(func(name string, source []byte) { all = append(all, parse(t, name, source)) }, ".md"); err != nil {
		t.Fatal(err)
	}
	if len(all) < 35 {
		t.Fatalf("only %d pages are found", len(all))
	}
	return all
}
