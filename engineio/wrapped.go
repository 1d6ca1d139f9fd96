package engineio

import "strings"

// wrapKind is how a payload is wrapped for JSONP.
type wrapKind uint8

const (
	literalText wrapKind = iota // a node's answer: inside a string literal of JavaScript
	formField                   // a client's POST: the form field d, with its line ends escaped once more
)

// wrapped hands out a JSONP payload byte by byte as it was before it was wrapped (engine.io,
// lib/transports/polling-jsonp.ts). Nothing is copied, so that a poll's payload can be looked through without
// allocating.
type wrapped struct {
	b     []byte
	i     int
	kind  wrapKind
	ended bool    // the literal's closing quote or the field's end was reached
	held  [2]byte // decoded bytes not yet handed out, last first
	nHeld int
}

// next returns the next byte, false at the end.
func (w *wrapped) next() (byte, bool) {
	if w.nHeld > 0 {
		w.nHeld--
		return w.held[w.nHeld], true
	}
	if w.kind == formField {
		return w.nextInField()
	}
	return w.nextInLiteral()
}

// asIs marks the bytes that stand for themselves in each kind of wrapping and are neither part of a longer character
// nor a separator.
var asIs = [...][256]bool{
	literalText: asciiBut(`"\`),
	formField:   asciiBut(`%+&\`),
}

func asciiBut(escapes string) (set [256]bool) {
	for c := range 0x80 {
		set[c] = c != separator && strings.IndexByte(escapes, byte(c)) < 0
	}
	return set
}

// skip passes over at most n bytes that stand for themselves and returns over how many: most of a payload, in a loop
// that is much shorter than next.
func (w *wrapped) skip(n int) int {
	if w.nHeld > 0 {
		return 0
	}
	plain, rest := &asIs[w.kind], w.b[w.i:]
	rest = rest[:min(n, len(rest))]
	for i, c := range rest {
		if !plain[c] {
			w.i += i
			return i
		}
	}
	w.i += len(rest)
	return len(rest)
}

// hold keeps bytes that follow the one handed out now.
func (w *wrapped) hold(bytes ...byte) {
	for i := range bytes {
		w.held[len(bytes)-1-i] = bytes[i]
	}
	w.nHeld = len(bytes)
}

// nextInLiteral decodes JSON.stringify's escapes. A surrogate that is escaped alone, as JSON.stringify writes it, comes
// out as three bytes, so that it counts as one UTF-16 unit in lengths.
func (w *wrapped) nextInLiteral() (byte, bool) {
	if w.i >= len(w.b) {
		return 0, false
	}
	c := w.b[w.i]
	switch c {
	case '"':
		w.ended = true
		return 0, false
	case '\\':
	default:
		w.i++
		return c, true
	}
	if w.i+1 >= len(w.b) {
		return 0, false
	}
	c = w.b[w.i+1]
	if c == 'u' {
		return w.nextEscapedUnit()
	}
	w.i += 2
	switch c {
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	}
	return c, true
}

// nextEscapedUnit decodes \uXXXX.
func (w *wrapped) nextEscapedUnit() (byte, bool) {
	if w.i+6 > len(w.b) {
		return 0, false
	}
	unit := 0
	for _, c := range w.b[w.i+2 : w.i+6] {
		digit := unhex(c)
		if digit < 0 {
			w.ended = true
			return 0, false
		}
		unit = unit<<4 | digit
	}
	w.i += 6
	switch {
	case unit < 0x80:
		return byte(unit), true
	case unit < 0x800:
		w.hold(0x80 | byte(unit&0x3f))
		return 0xc0 | byte(unit>>6), true
	}
	w.hold(0x80|byte(unit>>6&0x3f), 0x80|byte(unit&0x3f))
	return 0xe0 | byte(unit>>12), true
}

// nextInField decodes the form's escapes and then the client's own: "\n" is a line end and "\\n" is "\n", since some
// browsers would make "\r\n" of a bare line end in a form.
func (w *wrapped) nextInField() (byte, bool) {
	c, after, ok := w.formByte(w.i)
	if !ok {
		w.ended = true
		return 0, false
	}
	w.i = after
	if c != '\\' {
		return c, true
	}
	second, after, _ := w.formByte(w.i)
	if second == 'n' {
		w.i = after
		return '\n', true
	}
	if second == '\\' {
		if third, after, _ := w.formByte(after); third == 'n' {
			w.i = after
			w.hold('n')
		}
	}
	return c, true
}

// formByte decodes the byte at i of the form field and returns where the next one begins. A malformed escape stands for
// itself, as in Node's querystring.
func (w *wrapped) formByte(i int) (c byte, after int, ok bool) {
	if i >= len(w.b) || w.b[i] == '&' {
		return 0, i, false
	}
	c = w.b[i]
	switch {
	case c == '+':
		return ' ', i + 1, true
	case c == '%' && i+2 < len(w.b):
		if hi, lo := unhex(w.b[i+1]), unhex(w.b[i+2]); hi >= 0 && lo >= 0 {
			return byte(hi<<4 | lo), i + 3, true
		}
	}
	return c, i + 1, true
}
