package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// field is one setting of a T: what is told of it and how a text becomes its value. YAML, environment and flags share it.
type field[T any] struct {
	about
	reset func(*T)
	set   func(*T, string) error
	show  func(*T) string // the value, for people

	// changes returns the key, or those below it, where two differ.
	changes func(before, now *T, key string) []string

	// tree reads what is more than a text or a list of texts, and lines is its show.
	tree  func(r *reader, t *T, path string, n ast.Node)
	lines func(t *T, key string) []InForce
}

// about is what the example file, the reference and the help tell of a setting.
type about struct {
	key   string  // below its object, with a dot for each section
	list  bool    // several texts are allowed; set appends
	below []about // the settings of an object that may be left out as a whole

	def      string // the default as a text; empty for none
	sample   string // a value to show where there is no default
	note     string // what it is, behind its value in the example file
	comment  string // the same in lines above it, where a note is too short
	zero     string // what 0 means
	required bool   // it has no default and cannot be left out
	short    string // the flag, where it is not named after the key
	value    string // what stands for the flag's value in help, empty where the flag has no line there
	help     string // what stands in that line
}

func aboutOf[T any](fields []field[T]) (all []about) {
	for _, f := range fields {
		all = append(all, f.about)
	}
	return all
}

func (f field[T]) withDefault(def, note string) field[T] {
	f.def, f.note = def, note
	return f
}

func (f field[T]) withSample(sample, note string) field[T] {
	f.sample, f.note = sample, note
	return f
}

// withZero says what 0 means, where that is no number of what is counted.
func (f field[T]) withZero(meaning string) field[T] {
	f.zero = meaning
	return f
}

// withHelp gives the flag a line in the help of sidway serve. short is its name where the key is not.
func (f field[T]) withHelp(short, value, text string) field[T] {
	f.short, f.value, f.help = short, value, text
	return f
}

func (f field[T]) isRequired() field[T] {
	f.required = true
	return f
}

func (f field[T]) withComment(text string) field[T] {
	f.comment = text
	return f
}

// withShow shows the value otherwise than it is held.
func (f field[T]) withShow(show func(*T) string) field[T] {
	f.show = show
	return f
}

// one is a field with a single value.
func one[T, V any](key string, at func(*T) *V, parse func(string) (V, error)) field[T] {
	changes := changesOf(func(t *T) any { return *at(t) })
	return field[T]{about: about{key: key}, changes: changes, reset: func(*T) {}, show: func(t *T) string { return shown(*at(t)) }, set: func(t *T, text string) error {
		v, err := parse(text)
		if err == nil {
			*at(t) = v
		}
		return err
	}}
}

// many is a field with a list of values.
func many[T, V any](key string, at func(*T) *[]V, parse func(string) (V, error)) field[T] {
	show := func(t *T) string {
		var all []string
		for _, v := range *at(t) {
			all = append(all, shown(v))
		}
		return cmp.Or(strings.Join(all, ", "), "none")
	}
	changes := changesOf(func(t *T) any { return *at(t) })
	return field[T]{about: about{key: key, list: true}, changes: changes, reset: func(t *T) { *at(t) = nil }, show: show, set: func(t *T, text string) error {
		v, err := parse(text)
		if err == nil {
			*at(t) = append(*at(t), v)
		}
		return err
	}}
}

// object is a field with settings of its own, which hold as soon as it is there.
func object[T, S any](key string, at func(*T) **S, fields []field[S]) field[T] {
	tree := func(r *reader, t *T, path string, n ast.Node) {
		s := new(S)
		*at(t) = s
		fill(s, fields)
		section[S]{reader: r, base: path + ".", target: s, fields: fields}.walk("", n)
	}
	lines := func(t *T, key string) []InForce {
		if *at(t) == nil {
			return nil
		}
		return inForce(*at(t), key+".", fields, true)
	}
	differ := func(before, now *T, key string) []string {
		if a, b := *at(before), *at(now); a != nil && b != nil {
			return changes(a, b, key+".", fields)
		} else if a != b {
			return []string{key}
		}
		return nil
	}
	return field[T]{about: about{key: key, below: aboutOf(fields)}, changes: differ, reset: func(*T) {}, tree: tree, lines: lines}
}

// pairs is a field with keys of the user's own. each reads one of them, shown returns them again, for people, and value all that
// was read.
func pairs[T any](key string, each func(r *reader, t *T, p pair), shown func(*T) []InForce, value func(*T) any) field[T] {
	tree := func(r *reader, t *T, path string, n ast.Node) {
		r.entries(path, n, "this takes keys below it, each with its value", func(p pair) { each(r, t, p) })
	}
	lines := func(t *T, key string) (all []InForce) {
		for _, s := range shown(t) {
			all = append(all, InForce{key + "." + s.Key, s.Value})
		}
		return all
	}
	return field[T]{about: about{key: key}, changes: changesOf(value), reset: func(*T) {}, tree: tree, lines: lines}
}

// shown is a value as a person writes it.
func shown(v any) string {
	if d, ok := v.(time.Duration); ok {
		return short(d)
	}
	return fmt.Sprint(v)
}

// fill gives t its defaults.
func fill[T any](t *T, fields []field[T]) {
	for _, f := range fields {
		if f.def != "" {
			_ = f.set(t, f.def) // a test compares the defaults with those of the example file
		}
	}
}

func indexField[T any](fields []field[T], key string) int {
	return slices.IndexFunc(fields, func(f field[T]) bool { return f.key == key })
}
