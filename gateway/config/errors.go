package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong in the settings.
type Problem struct {
	Source string // the file, the environment's variable or the flag that says it; empty if nothing does
	Line   int    // in the file, from 1; 0 where Source has no lines
	Key    string // the setting's path, as clusters[0].nodes[1].url; empty if the whole file is meant
	Text   string // what is wrong and what to write instead, never with a password in it
}

// String returns the problem on one line: file:line: key: text.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Source)
	if p.Line > 0 {
		b.WriteString(":" + strconv.Itoa(p.Line))
	}
	for _, s := range []string{p.Key, p.Text} {
		if s != "" && b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(s)
	}
	return b.String()
}

// Error tells of everything that is wrong at once, so that one round of mending is enough.
type Error struct {
	Problems []Problem // in the order of sources and lines, at least one
}

// Error returns one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// place is where a value was said.
type place struct {
	source string
	line   int
}

// report collects problems and remembers where each setting was said, so that a check across settings can point at
// the lines it compared.
type report struct {
	problems []Problem
	at       map[string]place
}

func (r *report) add(key string, p place, text string) {
	r.problems = append(r.problems, Problem{Source: p.source, Line: p.line, Key: key, Text: text})
}

// addAt reports on a setting where it was said, or else where its closest parent was.
func (r *report) addAt(key, text string) {
	p := r.at[key]
	for parent := key; p == (place{}) && parent != ""; p = r.at[parent] {
		parent = parent[:max(0, strings.LastIndexAny(parent, ".["))]
	}
	r.add(key, p, text)
}

func (r *report) said(key string) bool {
	_, ok := r.at[key]
	return ok
}

// clean reports whether nothing was said against a setting or what is below it.
func (r *report) clean(key string) bool {
	return !slices.ContainsFunc(r.problems, func(p Problem) bool {
		rest, ok := strings.CutPrefix(p.Key, key)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// where names the line of an earlier setting in a message about a later one.
func (r *report) where(key string) string {
	p := r.at[key]
	if p.line == 0 {
		return key
	}
	return key + " on line " + strconv.Itoa(p.line)
}

func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	var sources []string // in the order of their first problem
	for _, p := range r.problems {
		if !slices.Contains(sources, p.Source) {
			sources = append(sources, p.Source)
		}
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(slices.Index(sources, a.Source), slices.Index(sources, b.Source)),
			cmp.Compare(a.Line, b.Line))
	})
	return &Error{Problems: r.problems}
}
