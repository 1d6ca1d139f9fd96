package replica

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"slices"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile"
)

// nodeTLS is TLS with the nodes of a cluster, by files as they were when they were read.
type nodeTLS struct {
	cfg   config.NodeTLS
	files [][]byte
	tls   *tls.Config
}

// config returns what nodes are spoken to by, nil for the usual.
func (t *nodeTLS) config() *tls.Config {
	if t == nil {
		return nil
	}
	return t.tls
}

// newNodeTLS reads the files that cfg names. Where nothing has changed it returns what was known before, so that connections stay.
func newNodeTLS(cfg *config.NodeTLS, known *nodeTLS) (*nodeTLS, error) {
	if cfg == nil {
		return nil, nil
	}
	t := &nodeTLS{cfg: *cfg}
	for _, file := range []string{cfg.CA, cfg.Cert, cfg.Key} {
		var data []byte
		if file != "" {
			var err error
			if data, err = keyfile.Read(file); err != nil {
				return nil, err
			}
		}
		t.files = append(t.files, data)
	}
	if known != nil && known.cfg == t.cfg && slices.EqualFunc(known.files, t.files, bytes.Equal) {
		return known, nil
	}
	t.tls = &tls.Config{ServerName: cfg.Name, InsecureSkipVerify: cfg.Insecure}
	if cfg.CA != "" {
		pool, err := keyfile.Authorities(t.files[0])
		if err != nil {
			return nil, fmt.Errorf("ca: %s %w", cfg.CA, err)
		}
		t.tls.RootCAs = pool
	}
	if cfg.Cert != "" {
		pair, err := keyfile.Pair(t.files[1], t.files[2])
		if err != nil {
			return nil, fmt.Errorf("cert: %s %w", cfg.Cert, err)
		}
		t.tls.Certificates = []tls.Certificate{*pair}
	}
	return t, nil
}
