package certs

import (
	"time"

	"github.com/sidway/sidway/gateway/config"
)

// WithEvery has files looked at so often.
func (o Options) WithEvery(d time.Duration) Options {
	o.every = d
	return o
}

// Look looks at the files once, beside Run.
func (c *Certificates) Look() { c.look() }

// Update has what cfg says hold from now on.
func (c *Certificates) Update(cfg config.TLS) error {
	use, err := c.Prepare(cfg)
	if err == nil {
		use()
	}
	return err
}
