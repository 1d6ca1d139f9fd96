// Package nodename says how a node may be called, and what it is called that nobody gave a name. Bindings hold names, so replicas
// must agree on them however they learn of a node; it is a package of its own because the settings and the sources of node lists do not import each other.
//
//	nodename.Of("10.0.0.1:3000") // 10.0.0.1-3000
package nodename

import "strings"

// Longest is the length of the longest name: a host's, which DNS bounds, and a port.
const Longest = 253 + len("-65535")

// Valid reports whether a node may be called so: letters, digits, dots, dashes and underscores, the first a letter or digit. Names
// end up in keys, labels and logs.
func Valid(name string) bool {
	for i := range len(name) {
		if !isAlnum(name[i]) && (i == 0 || strings.IndexByte("._-", name[i]) < 0) {
			return false
		}
	}
	return name != "" && len(name) <= Longest
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// Of makes a name of a host:port. It depends on nothing else, so replicas agree on it.
func Of(address string) string {
	s := strings.NewReplacer("[", "", "]", "", ":", "-").Replace(address)
	return strings.TrimLeft(s, "-")
}
