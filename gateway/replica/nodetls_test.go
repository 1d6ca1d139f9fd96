package replica_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

// secureNode is a node that speaks TLS with certificates of a, asks for one, and counts its connections.
func secureNode(t *testing.T, a *keyfiletest.Authority, name string, clients *x509.CertPool) (url string, conns *atomic.Int32) {
	t.Helper()
	conns = new(atomic.Int32)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if clients != nil && len(q.TLS.PeerCertificates) == 0 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateActive {
			conns.Add(1)
		}
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{a.Issue(t, keyfiletest.Request{Names: []string{name}}).TLS(t)}}
	if clients != nil {
		s.TLS.ClientCAs, s.TLS.ClientAuth = clients, tls.VerifyClientCertIfGiven
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, conns
}

// Nodes with https:// are asked and probed by TLS, show certificates of the right authority, and get one where it is configured. A reload that changes
// none of that leaves their connections.
func TestNodesWithTLS(t *testing.T) {
	dir, a, other := t.TempDir(), keyfiletest.NewAuthority(t, "a"), keyfiletest.NewAuthority(t, "other")
	ca := keyfiletest.File(t, dir, "ca.pem", a.PEM)
	cert, key := a.Issue(t, keyfiletest.Request{Names: []string{"sidway"}}).Write(t, dir, "client")
	url, conns := secureNode(t, a, "chat.internal", a.Pool)
	cfg := settings()
	node := config.Node{Name: "n1", URL: url, Weight: 1}
	cfg.Clusters[0].Nodes = []config.Node{node}
	cfg.Clusters[0].Health = &config.Health{Path: "/healthz", Status: 200, Interval: 100 * time.Millisecond, Timeout: 20 * time.Second, Rise: 1, Fall: 1}
	cfg.Clusters[0].NodeTLS = &config.NodeTLS{CA: ca, Name: "chat.internal", Cert: cert, Key: key}
	r := startReloading(t, cfg)
	status := func() string {
		n := statusOf(t, r.running).Clusters[0].Nodes[0]
		switch {
		case n.Probe == nil:
			return "not probed"
		case n.Healthy:
			return "healthy"
		}
		return n.Probe.Reason
	}
	for range 3 {
		if code, _ := fetch(t, r.url("/page")); code != http.StatusOK {
			t.Fatalf("got %d", code)
		}
	}
	affinitytest.Eventually(t, "a probe has been made", func() bool { return status() != "not probed" })
	if s := status(); s != "healthy" {
		t.Errorf("by its probes the node is not healthy: %s", s)
	}
	r.must(func(c *config.Config) { c.Clusters[0].Health = nil })
	fetch(t, r.url("/page"))
	before := conns.Load()
	r.must(func(c *config.Config) { c.Clusters[0].MaxBody = 7 })
	if fetch(t, r.url("/page")); conns.Load() > before+1 { // the client's own connection is new as well, and may be on the other loop
		t.Errorf("%d new connections after a reload that leaves TLS as it is", conns.Load()-before)
	}

	for reason, change := range map[string]func(*config.NodeTLS){
		"unknown authority": func(c *config.NodeTLS) { c.CA = keyfiletest.File(t, dir, "other.pem", other.PEM) },
		"not other":         func(c *config.NodeTLS) { c.Name = "other" },
		"answered 401":      func(c *config.NodeTLS) { c.Cert, c.Key = "", "" },
	} {
		r.must(func(c *config.Config) {
			c.Clusters[0].Health = cfg.Clusters[0].Health
			t := *cfg.Clusters[0].NodeTLS
			change(&t)
			c.Clusters[0].NodeTLS = &t
		})
		affinitytest.Eventually(t, "the node is not healthy for "+reason, func() bool { return strings.Contains(status(), reason) })
	}
	r.must(func(c *config.Config) { c.Clusters[0].NodeTLS = &config.NodeTLS{Insecure: true, Cert: cert, Key: key} })
	affinitytest.Eventually(t, "any certificate will do", func() bool { return status() == "healthy" })
	if err := r.change(func(c *config.Config) { c.Clusters[0].NodeTLS = &config.NodeTLS{CA: key} }); err == nil || !strings.Contains(err.Error(), "node_tls: ca: "+key) {
		t.Errorf("a key in place of certificates: %v", err)
	}
}
