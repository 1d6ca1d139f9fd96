package control

import (
	"crypto/tls"
	"net"

	"github.com/sidway/sidway/gateway/config"
)

// secrets are the configurations of TLS with nodes.
type secrets struct {
	base *tls.Config            // nil: the usual
	all  map[string]*tls.Config // by address
}

// SetTLS has nodes with https:// spoken to by this configuration, nil for what the system trusts. Without a ServerName a node's
// certificate must be for its host. base must not be changed then; the same again is no change.
func (n *Nodes) SetTLS(base *tls.Config) {
	n.update(func() {
		if n.secrets.base != base {
			n.secrets = secrets{base: base}
		}
	})
}

// of returns the configuration for a node, the same as long as the base and the address are.
func (s *secrets) of(node config.Node) *tls.Config {
	if !node.TLS() {
		return nil
	}
	address := node.Address()
	if c := s.all[address]; c != nil {
		return c
	}
	c := &tls.Config{}
	if s.base != nil {
		c = s.base.Clone()
	}
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(address)
	}
	c.NextProtos = []string{"http/1.1"}
	c.ClientSessionCache = tls.NewLRUClientSessionCache(1) // each node has its own keys for tickets
	c.DynamicRecordSizingDisabled = true
	if s.all == nil {
		s.all = map[string]*tls.Config{}
	}
	s.all[address] = c
	return c
}

// keep forgets the nodes that are no more.
func (s *secrets) keep(nodes []config.Node) {
	current := map[string]*tls.Config{}
	for _, node := range nodes {
		if c := s.all[node.Address()]; c != nil {
			current[node.Address()] = c
		}
	}
	s.all = current
}
