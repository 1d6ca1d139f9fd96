package replica

import (
	"time"

	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/certs"
	"github.com/sidway/sidway/gateway/config"
)

// openCertificates reads the certificates for listeners with TLS.
func (r *Replica) openCertificates(cfg *config.Config) (err error) {
	r.certs, err = certs.New(cfg.TLS, r.certsStore(cfg), certs.Options{
		Log: r.log, OnEvent: func(text string) { r.event("certificate", "", "", text) },
	})
	return err
}

// certsStore is where replicas share what belongs to certificates.
func (r *Replica) certsStore(cfg *config.Config) certs.Store {
	return certs.Store{Redis: r.redis, Prefix: cfg.Affinity.Prefix}
}

func (r *Replica) statusOfCertificates() []api.Certificate {
	all := []api.Certificate{}
	for _, c := range r.certs.All() {
		s := api.Certificate{Name: c.Name, Ends: c.Ends, Late: c.Late}
		if c.Err != nil {
			s.Error = c.Err.Error()
		}
		all = append(all, s)
	}
	return all
}

// eachEnd calls f with the ends of certificates: of those with the same name with the first.
func (r *Replica) eachEnd(f func(name string, ends time.Time)) {
	ends := map[string]time.Time{}
	for _, c := range r.certs.All() {
		if c.Ends.IsZero() {
			continue
		}
		if e, known := ends[c.Name]; !known || c.Ends.Before(e) {
			ends[c.Name] = c.Ends
		}
	}
	for name, e := range ends {
		f(name, e)
	}
}
