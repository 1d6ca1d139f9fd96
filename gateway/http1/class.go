package http1

import (
	"encoding/binary"
	"math/bits"
)

// class holds for each byte the sets it belongs to.
const (
	classToken  = 1 << iota // tchar, RFC 9110 section 5.6.2
	classValue              // field-content with obs-text, RFC 9110 section 5.5
	classTarget             // what a request target may hold: visible ASCII but '#'
	classHost               // what a host name may hold here: unreserved characters
	classDigit
	classHex
	classV6 // what an IPv6 address has besides hexadecimal digits
)

var class = buildClass()

func buildClass() (t [256]uint8) {
	for i := range t {
		c := byte(i)
		alpha := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if alpha || digit {
			t[i] |= classToken | classHost
		}
		if digit {
			t[i] |= classDigit
		}
		if digit || 'a' <= c|0x20 && c|0x20 <= 'f' {
			t[i] |= classHex
		}
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[i] |= classValue
		}
		if c > ' ' && c < 0x7f && c != '#' {
			t[i] |= classTarget
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= classToken
	}
	t[':'] |= classV6
	t['.'] |= classV6
	for _, c := range []byte("-._~") {
		t[c] |= classHost
	}
	return t
}

// all reports whether every byte of s is in one of the sets.
func all(s string, set uint8) bool {
	for i := range len(s) {
		if class[s[i]]&set == 0 {
			return false
		}
	}
	return true
}

// span returns how many bytes at the start of s are in one of the sets.
func span(s string, set uint8) int {
	for i := range len(s) {
		if class[s[i]]&set == 0 {
			return i
		}
	}
	return len(s)
}

// valueSpan returns how many bytes at the start of b can be in a field value. It looks at eight at a time: values are most
// of a head.
func valueSpan(b []byte) int {
	const ones = 0x0101010101010101
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		del := x ^ ones*0x7f
		// In each term the lowest high bit that is set marks a byte below 0x20, or one that is 0x7f; those above it may
		// have it from a borrow.
		found := ((x-ones*0x20) & ^x | (del-ones) & ^del) & (ones * 0x80)
		if found == 0 {
			continue
		}
		i += bits.TrailingZeros64(found) / 8
		if b[i] != '\t' {
			return i
		}
		i -= 7 // go on behind the tab
	}
	for ; i < len(b); i++ {
		if class[b[i]]&classValue == 0 {
			return i
		}
	}
	return i
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// equalFold compares ASCII without regard to case; strings.EqualFold would take U+212A for a k.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// trim removes OWS (RFC 9110 section 5.6.3) from both ends.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// element cuts the first element off a comma-separated list (RFC 9110 section 5.6.1).
func element(list string) (first, rest string) {
	for i := range len(list) {
		if list[i] == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), ""
}
