package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// file fills the settings from a YAML file. It walks the tree itself: the library's own decoding stops at the first
// error, and knows no line for what is only wrong beside something else.
func (l *loader) file(name string, data []byte) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	// Keys given twice are found by the walk, which then goes on.
	f, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		l.syntax(name, data, err)
		return
	}
	var bodies []ast.Node
	for _, d := range f.Docs {
		if d.Body != nil {
			bodies = append(bodies, d.Body)
		}
	}
	if len(bodies) == 0 {
		return
	}
	r := &reader{loader: l, name: name}
	if len(bodies) > 1 {
		l.add("", r.place(bodies[1]), "a second document begins here; write one document without ---")
	}
	fields := l.fields
	if l.clusters {
		clusters := field[Config]{about: about{key: "clusters"}, tree: func(r *reader, _ *Config, path string, n ast.Node) { r.clusters(path, n) }}
		fields = append(slices.Clip(fields), clusters)
	}
	section[Config]{reader: r, target: l.cfg, fields: fields}.walk("", bodies[0])
}

func (l *loader) syntax(name string, data []byte, err error) {
	l.broken = true
	p := place{source: name}
	text := err.Error()
	var se *yaml.SyntaxError
	if errors.As(err, &se) {
		text = se.Message // and not the lines around it, where a password may be
		if se.Token != nil && se.Token.Position != nil {
			p.line = se.Token.Position.Line
		}
	}
	if lines := bytes.Split(data, []byte("\n")); p.line > 0 && p.line <= len(lines) && indentedByTab(lines[p.line-1]) {
		l.add("", p, "not YAML: the line is indented by a tab; indent with spaces")
		return
	}
	l.add("", p, "not YAML: "+text+"; mind the indentation, and put values that begin with [ { * & @ or % in quotes, and those with ${ in a list or section on one line")
}

func indentedByTab(line []byte) bool {
	text := bytes.TrimLeft(line, " \t")
	return bytes.IndexByte(line[:len(line)-len(text)], '\t') >= 0
}

// reader turns nodes of the tree into settings.
type reader struct {
	*loader
	name string
}

func (r *reader) place(n ast.Node) place {
	p := place{source: r.name}
	if t := n.GetToken(); t != nil && t.Position != nil {
		p.line = t.Position.Line
	}
	return p
}

// pair is a key of a mapping with its value, and the path of both.
type pair struct {
	key, path string
	at        place
	value     ast.Node
}

// entries calls each for every key of a mapping that is said once. Nothing behind the colon is an empty mapping: a section whose
// keys are all commented out.
func (r *reader) entries(path string, n ast.Node, takes string, each func(pair)) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		if _, null := n.(*ast.NullNode); !null {
			r.add(path, r.place(n), takes)
		}
		return
	}
	for _, v := range m.Values {
		key, ok := v.Key.(*ast.StringNode)
		if !ok || strings.ContainsFunc(key.Value, unicode.IsControl) {
			r.add(path, r.place(v), "keys are plain words here; aliases, merges, tags and numbers are not understood")
			continue
		}
		p := pair{key: key.Value, path: strings.TrimPrefix(path+"."+key.Value, "."), at: r.place(v.Key), value: v.Value}
		if r.said(p.path) {
			r.add(p.path, p.at, "this was set before; "+r.where(p.path))
			continue
		}
		r.at[p.path] = p.at
		each(p)
	}
}

// section fills a T from a mapping.
type section[T any] struct {
	*reader
	base   string // the path of this object and a dot, empty for the root
	target *T
	fields []field[T]
}

// walk reads the keys below a prefix of the fields' keys ("", or "limits."), whose mapping n is.
func (o section[T]) walk(prefix string, n ast.Node) {
	takes := "this takes keys below it: " + strings.Join(o.keys(prefix), ", ")
	o.entries(strings.TrimSuffix(o.base+prefix, "."), n, takes, func(p pair) { o.member(prefix, p) })
}

func (o section[T]) member(prefix string, p pair) {
	key := prefix + p.key
	if i := indexField(o.fields, key); i >= 0 && o.fields[i].tree != nil {
		o.fields[i].tree(o.reader, o.target, p.path, p.value)
	} else if i >= 0 {
		o.value(p.path, o.fields[i], p.value)
	} else if slices.ContainsFunc(o.fields, func(f field[T]) bool { return strings.HasPrefix(f.key, key+".") }) {
		o.walk(key+".", p.value)
	} else {
		o.add(p.path, p.at, "unknown key; "+o.suggest(prefix, p.key))
	}
}

// keys returns the keys below a prefix.
func (o section[T]) keys(prefix string) []string {
	var keys []string
	for _, f := range o.fields {
		if rest, ok := strings.CutPrefix(f.key, prefix); ok {
			first, _, _ := strings.Cut(rest, ".")
			if !slices.Contains(keys, first) {
				keys = append(keys, first)
			}
		}
	}
	return keys
}

func (o section[T]) suggest(prefix, key string) string {
	keys := o.keys(prefix)
	if path := find(aboutOf(o.fields), key); path != "" {
		return "it belongs elsewhere, as " + o.base + path
	}
	if near := Nearest(key, keys); near != "" {
		o.meant[o.base+prefix+near] = true
		return "did you mean " + near + "?"
	}
	return "the keys here are " + strings.Join(keys, ", ")
}

// find returns the path of a setting by the last part of its key, or "".
func find(all []about, key string) string {
	for _, a := range all {
		if strings.HasSuffix(a.key, "."+key) {
			return a.key
		}
		for _, b := range a.below {
			if b.key == key {
				return a.key + "." + key
			}
		}
		if path := find(a.below, key); path != "" {
			return a.key + "." + path
		}
	}
	return ""
}

// value sets one field from a scalar, or from a list where it takes one.
func (o section[T]) value(path string, f field[T], n ast.Node) {
	f.reset(o.target)
	nodes := []ast.Node{n}
	if s, ok := n.(*ast.SequenceNode); ok {
		if !f.list {
			o.add(path, o.place(n), "this takes one value, not a list")
			return
		}
		nodes = s.Values
	}
	for i, n := range nodes {
		item := path
		if len(nodes) > 1 {
			item = fmt.Sprintf("%s[%d]", path, i)
		}
		text, err := o.text(n)
		if err == nil {
			err = f.set(o.target, text)
		}
		if err != nil {
			o.add(item, o.place(n), err.Error())
		}
	}
}

// text returns a value with its variables expanded. The tree is built by then, so no variable can add to it.
func (r *reader) text(n ast.Node) (string, error) {
	text, err := scalar(n)
	if err != nil {
		return "", err
	}
	return r.expand(text)
}

// scalar returns a value's text as it was written, quotes resolved; what it means is its setting's business.
func scalar(n ast.Node) (string, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return strings.TrimSpace(n.Value.Value), nil
	case *ast.NullNode:
		return "", errors.New("there is no value; write one, or leave the key out where it has a default")
	case *ast.AliasNode:
		return "", errors.New("a value that begins with * needs quotes, as \"*.example.com\"; YAML's aliases are not understood")
	case *ast.AnchorNode:
		return "", errors.New("a value that begins with & needs quotes; YAML's anchors are not understood")
	case *ast.TagNode:
		return "", errors.New("a value that begins with ! needs quotes; YAML's tags are not understood")
	case *ast.MappingNode, *ast.SequenceNode:
		return "", errors.New("this takes a plain value, not keys or a list below it")
	}
	if t := n.GetToken(); t != nil { // numbers, true and false
		return t.Value, nil
	}
	return "", errors.New("this takes a plain value")
}

func (r *reader) clusters(path string, n ast.Node) {
	for i, item := range r.items(path, n) {
		base := fmt.Sprintf("%s[%d]", path, i)
		c := newCluster()
		r.enter(base, item)
		section[Cluster]{reader: r, base: base + ".", target: &c, fields: append(slices.Clip(clusterFields), nodesField)}.walk("", item)
		r.cfg.Clusters = append(r.cfg.Clusters, c)
	}
}

func (r *reader) nodesOf(path string, n ast.Node) []Node {
	var nodes []Node
	for i, item := range r.items(path, n) {
		base := fmt.Sprintf("%s[%d]", path, i)
		if _, ok := item.(*ast.StringNode); ok {
			nodes = append(nodes, r.plainNode(base, item))
			continue
		}
		node := newNode()
		r.enter(base, item)
		section[Node]{reader: r, base: base + ".", target: &node, fields: nodeFields}.walk("", item)
		nodes = append(nodes, node)
	}
	return nodes
}

// plainNode reads a node that is written as in SIDWAY_NODES.
func (r *reader) plainNode(base string, item ast.Node) Node {
	text, err := r.text(item)
	if err != nil {
		r.add(base, r.place(item), err.Error())
		r.unread[base] = true
		return newNode()
	}
	return r.entry(base, r.place(item), text)
}

// enter begins an item of a list of objects.
func (r *reader) enter(base string, item ast.Node) {
	r.at[base] = r.place(item)
	switch item.(type) {
	case *ast.MappingNode:
		return
	case *ast.NullNode:
		r.add(base, r.place(item), "there is nothing behind the dash")
	}
	r.unread[base] = true
}

func (r *reader) items(path string, n ast.Node) []ast.Node {
	switch n := n.(type) {
	case *ast.SequenceNode:
		return n.Values
	case *ast.NullNode:
		return nil
	}
	r.add(path, r.place(n), "this takes a list; begin each item with a dash, as \"- name: …\"")
	return nil
}
