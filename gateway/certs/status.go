package certs

import (
	"crypto/x509"
	"time"

	"github.com/sidway/sidway/gateway/keyfile"
)

// Status is how a certificate is, for people.
type Status struct {
	Name string    // the first name that it is for
	Ends time.Time // zero: there is none yet
	Late bool      // it should have been renewed
	Err  error     // why its files are not taken as they are now, or it was not obtained
}

// All returns how all certificates are, in the order of the configuration.
func (c *Certificates) All() (all []Status) {
	c.mu.Lock()
	for _, p := range c.pairs {
		all = append(all, statusOf(p.value.Leaf, p.err))
	}
	a := c.acme
	c.mu.Unlock()
	return append(all, a.statuses()...)
}

func statusOf(leaf *x509.Certificate, err error) Status {
	late := min(lateBefore, leaf.NotAfter.Sub(leaf.NotBefore)/lateShare)
	return Status{Name: keyfile.Name(leaf), Ends: leaf.NotAfter.UTC(), Late: time.Until(leaf.NotAfter) < late, Err: err}
}
