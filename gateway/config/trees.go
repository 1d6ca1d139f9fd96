package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// release reads a key of a release: share, or the name of a label.
func (r *reader) release(c *Cluster, p pair) {
	text, err := r.text(p.value)
	switch {
	case err != nil:
	case p.key == "share":
		c.Release.Share, err = parseShare(text)
	case c.Release.Label != "":
		err = fmt.Errorf("this takes one label and its share, and has %s already; take one of them out", c.Release.Label)
		if Nearest(p.key, []string{"share"}) != "" {
			err = fmt.Errorf("this takes one label, which is %s, and its share; did you mean share?", c.Release.Label)
		}
	default:
		if _, err = parseLabel(p.key); err == nil {
			c.Release.Value, err = parseLabel(text)
		}
		c.Release.Label = p.key
	}
	if err != nil {
		r.add(p.path, r.place(p.value), err.Error())
	}
}

func (rel Release) inForce() []InForce {
	if rel.Label == "" {
		return nil
	}
	return []InForce{{rel.Label, rel.Value}, {"share", strconv.FormatFloat(rel.Share*100, 'g', 6, 64) + "%"}}
}

// label reads a label of a node.
func (r *reader) label(n *Node, p pair) {
	text, err := r.text(p.value)
	if err == nil {
		err = n.setLabel(p.key, text)
	}
	if err != nil {
		r.add(p.path, r.place(p.value), err.Error())
	}
}

func (n *Node) labels() (all []InForce) {
	for _, name := range slices.Sorted(maps.Keys(n.Labels)) {
		all = append(all, InForce{name, n.Labels[name]})
	}
	return all
}

// setHeader reads a header that nodes get.
func (r *reader) setHeader(c *Cluster, p pair) {
	text, err := r.text(p.value)
	if err == nil {
		_, err = parseHeaderName(p.key)
	}
	if err == nil {
		text, err = fromFile(text)
	}
	if err == nil {
		err = checkHeaderValue(text)
	}
	if err != nil {
		r.add(p.path, r.place(p.value), err.Error())
		return
	}
	c.Headers.Set = append(c.Headers.Set, Header{p.key, text})
}

func (h Headers) inForce() (all []InForce) {
	for _, set := range h.Set {
		all = append(all, InForce{set.Name, "set"})
	}
	return all
}

// static reads a prefix with its directory.
func (r *reader) static(c *Cluster, p pair) {
	s := Static{Prefix: p.key}
	fill(&s, staticFields)
	section[Static]{reader: r, base: p.path + ".", target: &s, fields: staticFields}.walk("", p.value)
	if err := checkPrefix(p.key); err != nil {
		r.add(p.path, p.at, err.Error())
		return
	}
	c.Static = append(c.Static, s)
	slices.SortFunc(c.Static, func(a, b Static) int {
		return cmp.Or(len(b.Prefix)-len(a.Prefix), strings.Compare(a.Prefix, b.Prefix))
	})
}

func staticInForce(list []Static) (all []InForce) {
	for _, s := range list {
		all = append(all, InForce{s.Prefix, s.Dir + ", max_age " + short(s.MaxAge)})
	}
	return all
}

// isSet stands for a value that is not shown.
func isSet(text string) string {
	if text == "" {
		return "none"
	}
	return "set"
}
