package docs_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// words.txt has what hunspell's British dictionary does not know and we write: names, and words of the field.
const list = "words.txt"

// word is one of a page's sentences.
type word struct {
	text string
	line int
}

var (
	aFile      = regexp.MustCompile(`[\w@/-]+\.[a-z]\w*`) // or a host, a package
	aWord      = regexp.MustCompile(`[\p{L}\p{N}_]+(?:['’]\p{L}+)*`)
	possessive = regexp.MustCompile(`['’]s$`)
)

// words are those of the sentences, but not single letters, names of files, and what has a digit or an underscore.
func (p *page) words() []word {
	var all []word
	prose := aFile.ReplaceAllFunc(p.prose, blanks)
	for _, at := range aWord.FindAllIndex(prose, -1) {
		w := possessive.ReplaceAllString(string(prose[at[0]:at[1]]), "")
		if utf8.RuneCountInString(w) > 1 && !strings.ContainsFunc(w, func(r rune) bool { return r == '_' || unicode.IsNumber(r) }) {
			all = append(all, word{w, p.line(at[0])})
		}
	}
	return all
}

// unknown returns which of these words hunspell does not know. It needs hunspell and its British dictionary.
func unknown(t *testing.T, words []string) []string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "hunspell", "-d", "en_GB", "-i", "UTF-8", "-l")
	c.Stdin = strings.NewReader(strings.Join(words, "\n") + "\n")
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil || said.Len() > 0 {
		t.Fatalf("hunspell (Debian: hunspell and hunspell-en-gb): %v: %s", err, &said)
	}
	return strings.Fields(string(out))
}

// misspelt tells where words stand that neither hunspell nor the list knows. At the beginning of a sentence a word of the list may have a capital.
func misspelt(t *testing.T, all []*page, listed []string) []string {
	t.Helper()
	var words []string
	for _, p := range all {
		for _, w := range p.words() {
			words = append(words, w.text)
		}
	}
	slices.Sort(words)
	strange := map[string]bool{}
	for _, w := range unknown(t, slices.Compact(words)) {
		r, n := utf8.DecodeRuneInString(w)
		strange[w] = !slices.Contains(listed, w) && !slices.Contains(listed, string(unicode.ToLower(r))+w[n:])
	}
	var found []string
	for _, p := range all {
		for _, w := range p.words() {
			if strange[w.text] {
				found = append(found, fmt.Sprintf("%s:%d: %s", p.name, w.line, w.text))
			}
		}
	}
	return found
}

func listed(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

func TestSpelling(t *testing.T) {
	all, ours := pages(t), listed(t)
	for _, m := range misspelt(t, all, ours) {
		t.Errorf("%s: mend it, or add it to docs/test/%s", m, list)
	}
	if !slices.IsSorted(ours) || len(slices.Compact(slices.Clone(ours))) < len(ours) {
		t.Errorf("%s is not sorted, or has a word twice: LC_ALL=C sort -u", list)
	}
	written := map[string]bool{}
	for _, p := range all {
		for _, w := range p.words() {
			r, n := utf8.DecodeRuneInString(w.text)
			written[w.text], written[string(unicode.ToLower(r))+w.text[n:]] = true, true
		}
	}
	for _, w := range ours {
		if !written[w] {
			t.Errorf("%s has %s, which no page has", list, w)
		}
	}
}

// A misspelling is found, also in a table and in a heading, and code is none.
func TestMisspellings(t *testing.T) {
	p := parse(t, "a.md", []byte("# A hedaing\n\nThe gateway's `sidd`s recieve, by [a lnik](http://exmaple.com):\n\n    indnted\n\n```\nfenecd\n```\n\n"+
		"| a | b |\n|---|---|\n| `cdoe` | a clel |\n\nThe behavior of Sidway, whose colour is grey.\n"))
	want := []string{"a.md:1: hedaing", "a.md:3: recieve", "a.md:3: lnik", "a.md:13: clel", "a.md:15: behavior"}
	if got := misspelt(t, []*page{p}, []string{"sidway"}); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
