package certs

import (
	"context"
	"crypto/tls"
	"strings"

	"github.com/sidway/sidway/gateway/keyfile"
)

// index finds certificates by the names that clients ask for.
type index struct {
	managed func(ctx context.Context, name string) *tls.Certificate // one that was obtained by exactly this name, or any; nil: there is none
	none    func(name string)                                       // is told where there is no certificate at all
	all     []*tls.Certificate
	names   map[string][]*tls.Certificate // exact, or *.example.com
}

func (x *index) add(c *tls.Certificate) {
	if x.names == nil {
		x.names = map[string][]*tls.Certificate{}
	}
	x.all = append(x.all, c)
	names := c.Leaf.DNSNames
	if len(names) == 0 {
		names = []string{keyfile.Name(c.Leaf)}
	}
	for _, n := range names {
		n = strings.ToLower(n)
		x.names[n] = append(x.names[n], c)
	}
}

// pick returns the certificate that a client gets: of those for the name that it asks for the first whose signature it understands, as a
// rule, and where there is none for it, of all. Where there is none at all it returns nil, of which crypto/tls makes the alert
// unrecognized_name (RFC 6066, 3): an error would be internal_error, which sends people to look for a bug.
func (x *index) pick(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	found := x.names[name]
	if len(found) == 0 && name != "" {
		if c := x.managed(hello.Context(), name); c != nil {
			return c, nil
		}
	}
	if _, parent, ok := strings.Cut(name, "."); ok && len(found) == 0 {
		found = x.names["*."+parent]
	}
	if len(found) == 0 {
		found = x.all
	}
	if len(found) == 0 {
		if c := x.managed(hello.Context(), ""); c != nil {
			return c, nil
		}
	}
	switch len(found) {
	case 0:
		x.none(name)
		return nil, nil
	case 1:
		return found[0], nil
	}
	anonymous := *hello
	anonymous.ServerName = "" // whether the name fits was looked at
	for _, c := range found {
		if anonymous.SupportsCertificate(c) == nil {
			return c, nil
		}
	}
	return found[0], nil
}
