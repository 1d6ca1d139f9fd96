// Package nodename says what a node is called that nobody gave a name. Bindings hold names, so replicas must agree on them however
// they learn of a node; it is a package of its own because the settings and the sources of node lists do not import each other.
//
//	nodename.Of("10.0.0.1:3000") // 10.0.0.1-3000
package nodename

import "strings"

// Of makes a name of a host:port. It depends on nothing else, so replicas agree on it.
func Of(address string) string {
	s := strings.NewReplacer("[", "", "]", "", ":", "-").Replace(address)
	return strings.TrimLeft(s, "-")
}
