package engineio

import (
	"bytes"
	"slices"
)

// fieldName is what a browser's form for JSONP begins with: it has this field alone.
const fieldName = "d="

// longestEscape is how many bytes of a form field may stand for one that was escaped: a backslash, another, and an n, each with a
// percent sign.
const longestEscape = 9

// lookInField looks through a piece of a client's POST for JSONP.
func (p *Payload) lookInField(piece []byte, last bool) {
	w := &p.wrapped
	if len(w.b) > 0 {
		piece = append(w.b, piece...) // it was cut in an escape, or in the field's name
	}
	w.b, w.i = nil, 0
	if !p.named && !last && len(piece) < len(fieldName) {
		w.b = bytes.Clone(piece)
		return
	}
	data := piece
	if !p.named {
		data, p.named = bytes.CutPrefix(piece, []byte(fieldName))
		p.Opaque = !p.named
	}
	// Nodes ignore a form in which the field comes twice, or take one of the two. Browsers escape all that is not ASCII; where it is not, and
	// some escape is no UTF-8, Node's querystring cuts characters to a byte.
	if p.Opaque = p.Opaque || slices.ContainsFunc(data, func(c byte) bool { return c == '&' || c >= 0x80 }); p.Opaque {
		p.Closes = false
		return
	}
	keep := longestEscape
	if last {
		keep = 0
	}
	w.b = data
	p.lookInWrapped(keep)
	w.b, w.i = bytes.Clone(w.b[w.i:]), 0
}

// lookInWrapped looks through what is wrapped, but for the last bytes.
func (p *Payload) lookInWrapped(keep int) {
	w := &p.wrapped
	for ok := true; ok; {
		var plain [64]byte
		n := 0
		for ok && n < len(plain) {
			if ok = w.nHeld > 0 || len(w.b)-w.i > keep; !ok {
				break
			}
			if plain[n], ok = w.next(); ok {
				n++
			}
		}
		p.look(plain[:n], false)
		switch {
		case p.faulty && !p.post:
			return
		case p.at != passing:
		case p.form == records:
			w.skip(len(w.b))
		case p.inside && !p.faulty && p.next.left == 0:
			if p.left -= w.skip(p.left); p.left == 0 {
				p.end()
			}
		}
	}
}
