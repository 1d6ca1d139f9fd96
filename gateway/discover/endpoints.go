package discover

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/sidway/sidway/gateway/nodename"
)

// slice is as much of an EndpointSlice (discovery.k8s.io/v1) as is needed here.
type slice struct {
	Metadata    struct{ Name, ResourceVersion string }
	AddressType string // IPv4, IPv6, FQDN
	Endpoints   []endpoint
	Ports       []struct {
		Name     string
		Protocol string // empty: TCP
		Port     *int
	}
}

type endpoint struct {
	Addresses  []string                                    // all of the same thing, so the first will do
	Conditions struct{ Ready, Serving, Terminating *bool } // unknown: yes, as Ready, no
	Zone       string
	TargetRef  struct{ Kind, Name string }
}

// candidate is a node as one slice has it.
type candidate struct {
	Found
	family string
	serves bool
}

// better orders candidates for a pod. Its IPv4 address is it, even where only the slice of the IPv6 address is up to date; if it
// is in two slices, as while it moves from one to the other, the one where it serves and lives is believed.
func better(a, b candidate) int {
	return cmp.Or(rank(a.family != "IPv4", b.family != "IPv4"), rank(a.family != "IPv6", b.family != "IPv6"),
		rank(!a.serves, !b.serves), rank(a.Terminating, b.Terminating), strings.Compare(a.Address, b.Address))
}

// rank puts false first.
func rank(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// merge makes one list of a Service's slices: one for each family of addresses and each 100 pods. The error says what is odd about them.
func merge(all map[string]slice, port string) ([]Found, error) {
	if len(all) == 0 {
		return nil, errors.New("it has no EndpointSlices; is there such a Service, and has it a selector?")
	}
	pods := map[string]candidate{}
	var odd, left error
	fits := false
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := all[name]
		number, err := s.port(port)
		if err != nil {
			odd = err
			continue
		}
		fits = true
		for _, e := range s.Endpoints {
			c, ok := s.candidate(e, number)
			if ok && !c.valid(e.Addresses[0]) {
				left = cmp.Or(left, fmt.Errorf("%.64q at %.64q is left out: one of the two cannot be a node's", c.Name, e.Addresses[0]))
				continue
			}
			if old, known := pods[c.Name]; ok && (!known || better(c, old) < 0) {
				pods[c.Name] = c
			}
		}
	}
	if fits {
		odd = nil
	}
	return living(pods), cmp.Or(odd, left)
}

// port is the number of a port that is given by name or number, or of the first one. A number need not be in the Service: one
// without ports has it too.
func (s *slice) port(want string) (int, error) {
	if n, err := strconv.ParseUint(want, 10, 16); err == nil && n > 0 {
		return int(n), nil
	}
	var names []string
	for _, p := range s.Ports {
		if cmp.Or(p.Protocol, "TCP") != "TCP" || p.Port == nil {
			continue
		}
		if want == "" || p.Name == want {
			return *p.Port, nil
		}
		names = append(names, strconv.Quote(p.Name))
	}
	if want == "" {
		return 0, errors.New("it has no TCP port; name a number")
	}
	return 0, fmt.Errorf("it has no TCP port called %q; it has: %s", want, cmp.Or(strings.Join(names, ", "), "none"))
}

// candidate reads an endpoint as the API's documentation has it: ready where that is not known, serving as it is ready where that is
// not known, and terminating only where it says so.
func (s *slice) candidate(e endpoint, port int) (c candidate, ok bool) {
	if len(e.Addresses) == 0 {
		return c, false
	}
	is := func(b *bool, unknown bool) bool {
		if b == nil {
			return unknown
		}
		return *b
	}
	ready := is(e.Conditions.Ready, true)
	c = candidate{family: s.AddressType, serves: ready || is(e.Conditions.Serving, ready)}
	c.Address = net.JoinHostPort(e.Addresses[0], strconv.Itoa(port))
	c.Name, c.Weight, c.Terminating = nodename.Of(c.Address), 1, is(e.Conditions.Terminating, false)
	if e.TargetRef.Kind == "Pod" && e.TargetRef.Name != "" {
		c.Name = e.TargetRef.Name
	}
	if nodename.Valid(e.Zone) {
		c.Labels = map[string]string{"zone": e.Zone}
	}
	return c, true
}

// valid reports whether a node may have the candidate's name, and the host for its address.
func (c *candidate) valid(host string) bool {
	_, err := netip.ParseAddr(host)
	return nodename.Valid(c.Name) && (err == nil || nodename.Valid(host))
}

// living are the candidates that serve, one for each address: a pod may get the address of one that has ended and is still being deleted.
func living(pods map[string]candidate) (list []Found) {
	at := map[string]candidate{}
	for _, name := range slices.Sorted(maps.Keys(pods)) {
		c := pods[name]
		if old, taken := at[c.Address]; c.serves && (!taken || better(c, old) < 0) {
			at[c.Address] = c
		}
	}
	for _, c := range at {
		list = append(list, c.Found)
	}
	return list
}
