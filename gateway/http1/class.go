package http1

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
