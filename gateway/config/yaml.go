package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

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
		l.syntax(name, err)
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
	root := object[Config]{reader: r, target: l.cfg, fields: settings, lists: map[string]func(string, ast.Node){"clusters": r.clusters}}
	root.walk("", bodies[0])
}

func (l *loader) syntax(name string, err error) {
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
	l.add("", p, "not YAML: "+text+"; mind the indentation, and put values that begin with [ { * & @ or % in quotes, and those with ${ in a list or section on one line")
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

// object fills a T from a mapping.
type object[T any] struct {
	*reader
	base   string // the path of this object and a dot, empty for the root
	target *T
	fields []field[T]
	lists  map[string]func(path string, n ast.Node) // keys that hold lists of objects
}

// walk reads the keys of one section ("", or "limits."), whose mapping n is.
func (o object[T]) walk(section string, n ast.Node) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		if _, null := n.(*ast.NullNode); !null { // a section whose keys are all commented out
			key := strings.TrimSuffix(o.base+section, ".")
			o.add(key, o.place(n), "this takes keys below it: "+strings.Join(o.keys(section), ", "))
		}
		return
	}
	for _, v := range m.Values {
		key, ok := o.key(v)
		if !ok {
			continue
		}
		path := o.base + section + key
		if o.said(path) {
			o.add(path, o.place(v.Key), "this was set before; "+o.where(path))
			continue
		}
		o.at[path] = o.place(v.Key)
		o.member(section, key, v)
	}
}

func (o object[T]) member(section, key string, v *ast.MappingValueNode) {
	path := o.base + section + key
	if list := o.lists[section+key]; list != nil {
		list(path, v.Value)
	} else if i := indexField(o.fields, section+key); i >= 0 {
		o.value(path, o.fields[i], v.Value)
	} else if inside := section + key + "."; slices.ContainsFunc(o.fields, func(f field[T]) bool { return strings.HasPrefix(f.key, inside) }) {
		o.walk(inside, v.Value)
	} else {
		o.add(path, o.place(v.Key), "unknown key; "+o.suggest(section, key))
	}
}

func (o object[T]) key(v *ast.MappingValueNode) (string, bool) {
	s, ok := v.Key.(*ast.StringNode)
	if ok {
		return s.Value, true
	}
	o.add(strings.TrimSuffix(o.base, "."), o.place(v), "keys are plain words here; aliases, merges, tags and numbers are not understood")
	return "", false
}

// keys returns the keys of a section.
func (o object[T]) keys(section string) []string {
	var keys []string
	for _, f := range o.fields {
		if rest, ok := strings.CutPrefix(f.key, section); ok {
			first, _, _ := strings.Cut(rest, ".")
			if !slices.Contains(keys, first) {
				keys = append(keys, first)
			}
		}
	}
	if section == "" {
		for k := range o.lists {
			keys = append(keys, k)
		}
	}
	return keys
}

func (o object[T]) suggest(section, key string) string {
	keys := o.keys(section)
	if near := Nearest(key, keys); near != "" {
		return "did you mean " + near + "?"
	}
	for _, f := range o.fields {
		if strings.HasSuffix(f.key, "."+key) {
			return "it belongs elsewhere, as " + o.base + f.key
		}
	}
	return "the keys here are " + strings.Join(keys, ", ")
}

// value sets one field from a scalar, or from a list where it takes one.
func (o object[T]) value(path string, f field[T], n ast.Node) {
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
		nodes := func(path string, n ast.Node) { c.Nodes = r.nodesOf(path, n) }
		object[Cluster]{reader: r, base: base + ".", target: &c, fields: clusterFields, lists: map[string]func(string, ast.Node){"nodes": nodes}}.walk("", item)
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
		object[Node]{reader: r, base: base + ".", target: &node, fields: nodeFields}.walk("", item)
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
