package replica_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

// Certificates are told by status, metrics and log, follow their files, and reloads, which are refused whole where they are bad.
func TestCertificatesOfAReplica(t *testing.T) {
	dir, a, now := t.TempDir(), keyfiletest.NewAuthority(t, "a"), time.Now().UTC().Truncate(time.Second)
	issue := func(file string, ends time.Time) config.Certificate {
		cert, key := a.Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}, From: now.AddDate(0, -2, 0), To: ends}).Write(t, dir, file)
		return config.Certificate{Cert: cert, Key: key}
	}
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Affinity.Redis = affinitytest.StartRedis(t).URL()
	cfg.TLS.Certificates = []config.Certificate{issue("late", now.AddDate(0, 0, 5)), issue("good", now.AddDate(0, 2, 0))}
	r := startReloading(t, cfg)
	expect := func(ends ...time.Time) {
		t.Helper()
		s := statusOf(t, r.running)
		var got []time.Time
		for _, c := range s.Certificates {
			got = append(got, c.Ends)
		}
		if fmt.Sprint(got) != fmt.Sprint(ends) {
			t.Errorf("certificates end at %v, want %v", got, ends)
		}
	}
	expect(now.AddDate(0, 0, 5), now.AddDate(0, 2, 0))
	if s := statusOf(t, r.running); len(s.Problems) != 1 || !strings.HasPrefix(s.Problems[0].Text, "The certificate of a.example.com ends in ") {
		t.Errorf("problems: %+v", s.Problems)
	}
	if v, there := value(t, r.metrics(), `sidway_certificate_expiry_timestamp_seconds{name="a.example.com"}`); !there || v != float64(now.AddDate(0, 0, 5).Unix()) {
		t.Errorf("the metric is %v (%v)", v, there)
	}
	issue("late", now.AddDate(0, 3, 0))
	affinitytest.Eventually(t, "the new file is taken", func() bool { return statusOf(t, r.running).Certificates[0].Ends.Equal(now.AddDate(0, 3, 0)) })

	next := issue("next", now.AddDate(0, 4, 0))
	if err := r.change(func(c *config.Config) {
		c.TLS.Certificates = []config.Certificate{next, {Cert: "/none", Key: "/none"}}
	}); err == nil || !strings.Contains(err.Error(), "tls.certificates[1]: ") {
		t.Errorf("a reload with a file that is not there: %v", err)
	}
	expect(now.AddDate(0, 3, 0), now.AddDate(0, 2, 0))
	if err := r.change(func(c *config.Config) {
		c.TLS.Certificates = []config.Certificate{next}
		c.Clusters[0].Maintenance = "/none"
	}); err == nil {
		t.Error("a bad reload is taken")
	}
	expect(now.AddDate(0, 3, 0), now.AddDate(0, 2, 0))
	r.must(func(c *config.Config) {
		c.TLS.Certificates = []config.Certificate{next}
		c.Clusters[0].Maintenance = ""
	})
	expect(now.AddDate(0, 4, 0))
	if err := os.Remove(next.Key); err != nil {
		t.Fatal(err)
	}
	affinitytest.Eventually(t, "a file that is gone is a problem", func() bool {
		s := statusOf(t, r.running)
		return len(s.Problems) == 1 && strings.Contains(s.Problems[0].Text, "is not renewed: ") && s.Certificates[0].Error != ""
	})
	expect(now.AddDate(0, 4, 0))
}
