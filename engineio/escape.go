package engineio

import "strings"

// longestName is the length of "transport", the longest of the protocol's names.
const longestName = len("transport")

// disguised reports whether a parameter's raw name must be refused for its escapes: one is malformed, or decoding the
// name once or twice makes one of the protocol's names of it. Twice, because a proxy or framework before the node's
// own parser may have decoded once already.
func disguised(name string) bool {
	if strings.IndexByte(name, '%') < 0 {
		return false
	}
	// After one decoding a protocol name that is still to be decoded again has at most three bytes for each of its own.
	var once [3 * longestName]byte
	n, ok := unescape(once[:], name)
	if !ok {
		return true
	}
	if n > len(once) {
		return false
	}
	if protocolName(string(once[:n])) {
		return true
	}
	var twice [3 * longestName]byte
	// An escape that is malformed only now is no fault: "%25zz" is the honest name "%zz".
	m, ok := unescape(twice[:], string(once[:n]))
	return ok && m <= len(twice) && protocolName(string(twice[:m]))
}

func protocolName(s string) bool {
	switch s {
	case "EIO", "transport", "sid", "j", "b64":
		return true
	}
	return false
}

// unescape decodes the percent escapes of s into dst as far as it has room. It returns how many bytes s decodes to,
// and whether all its escapes are well formed.
func unescape(dst []byte, s string) (n int, ok bool) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) {
				return n, false
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi < 0 || lo < 0 {
				return n, false
			}
			c = byte(hi<<4 | lo)
			i += 2
		}
		if n < len(dst) {
			dst[n] = c
		}
		n++
	}
	return n, true
}

// unhex returns the value of a hexadecimal digit, -1 for any other byte.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
