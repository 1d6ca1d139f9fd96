package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// field is one setting of a T: how it is called and how a text becomes its value. YAML, environment and flags share it.
type field[T any] struct {
	key   string // below T, with a dot for each section
	list  bool   // several texts are allowed; set appends
	reset func(*T)
	set   func(*T, string) error
	show  func(*T) string // the value, for people

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

// one is a field with a single value.
func one[T, V any](key string, at func(*T) *V, parse func(string) (V, error)) field[T] {
	return field[T]{key: key, reset: func(*T) {}, show: func(t *T) string { return shown(*at(t)) }, set: func(t *T, text string) error {
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
	return field[T]{key: key, list: true, reset: func(t *T) { *at(t) = nil }, show: show, set: func(t *T, text string) error {
		v, err := parse(text)
		if err == nil {
			*at(t) = append(*at(t), v)
		}
		return err
	}}
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
