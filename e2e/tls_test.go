package e2e_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

// encrypted has clients come to the replicas by TLS, as a certificate of an authority of these tests lets them.
var encrypted = os.Getenv("E2E_TLS") == "1"

// scheme is what the URLs of clients begin with. clientTLS is for clients of this process.
var (
	scheme    = map[bool]string{false: "http://", true: "https://"}[encrypted]
	clientTLS = &tls.Config{}
)

// authority makes the certificate of all replicas, when the first is started. Node's processes read from their environment
// whom to trust.
var authority sync.Once

// listenLines is the part of a replica's configuration that says where it listens, and how.
func listenLines(t *testing.T, address string) string {
	t.Helper()
	if !encrypted {
		return fmt.Sprintf("listen: %s\n", address)
	}
	authority.Do(func() {
		a := keyfiletest.NewAuthority(t, "e2e")
		a.Issue(t, keyfiletest.Request{Names: []string{"127.0.0.1", "localhost"}}).Write(t, buildDir, "replica")
		clientTLS.RootCAs = a.Pool
		if err := os.Setenv("NODE_EXTRA_CA_CERTS", keyfiletest.File(t, buildDir, "authority.pem", a.PEM)); err != nil {
			t.Fatal(err)
		}
	})
	return fmt.Sprintf("listen: {address: %q, tls: true}\ntls: {certificates: [{cert: %[2]s/replica.pem, key: %[2]s/replica.key}]}\n", address, buildDir)
}

// checkEncrypted demands that each replica has spoken TLS with clients, where this run is to, that none came otherwise, and that none failed.
func (s *site) checkEncrypted(t *testing.T) {
	t.Helper()
	count := func(r *replica, outcome string) int {
		return r.metric(t, fmt.Sprintf(`sidway_tls_handshakes_total{outcome=%q,side="client"}`, outcome))
	}
	for _, r := range s.replicas {
		spoken, wrong := count(r, "full")+count(r, "resumed"), count(r, "plain")+count(r, "failed")
		if (spoken > 0) != encrypted || wrong > 0 {
			t.Errorf("%s has spoken TLS with %d clients, and %d came otherwise or failed", r.name, spoken, wrong)
		}
		t.Logf("%s: TLS handshakes: %d full, %d resumed", r.name, count(r, "full"), count(r, "resumed"))
	}
}
