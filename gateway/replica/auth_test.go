package replica_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/config"
)

const (
	shared    = "a-shared-secret-of-32-bytes-or-more"
	handshake = "/socket.io/?EIO=4&transport=polling"
)

func sign(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// A replica that has never seen the token ends the session with it, because the binding in Redis says when.
func TestASessionEndsAtAnotherReplica(t *testing.T) {
	t.Parallel()
	rdb, node := affinitytest.StartRedis(t), engineiotest.Start(t, engineiotest.Options{})
	replica := func() *running {
		cfg := settings(node)
		cfg.Affinity.Redis = rdb.URL()
		cfg.Clusters[0].Auth.JWT = &config.JWT{Secrets: []config.Secret{shared}, From: []string{"query:token"}, Required: true}
		r := start(t, cfg)
		awaitReady(t, r)
		return r
	}
	one, two := replica(), replica()
	if status, said := fetch(t, one.url(handshake)); status != 403 || said != `{"code":4,"message":"Forbidden"}` {
		t.Errorf("without a token: %d %s", status, said)
	}
	ends := time.Now().Add(3 * time.Second)
	status, said := fetch(t, one.url(handshake+"&token="+sign(t, jwt.SigningMethodHS256, []byte(shared), jwt.MapClaims{"exp": ends.Unix()})))
	m := regexp.MustCompile(`"sid":"([^"]+)"`).FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("%d %s", status, said)
	}
	if status, said := fetch(t, two.url(handshake+"&sid="+m[1])); status != 200 || said != "1" {
		t.Errorf("the poll got %d %s", status, said)
	}
	if early := time.Until(ends.Truncate(time.Second)); early > 0 {
		t.Errorf("ended %v before the token", early)
	}
	if status, said := fetch(t, one.url(handshake+"&sid="+m[1])); status != 200 || said != "1" {
		t.Errorf("a poll at the replica of the handshake got %d %s", status, said)
	}
	if _, page := fetch(t, two.adminURL("/metrics")); !strings.Contains(page, `sidway_local_responses_total{cluster="chat",node="n1",reason="token_expired"} 1`) {
		t.Error("the poll is not counted")
	}
}

// Keys that were fetched outlive a reload, unless it changes auth; then its rules hold for the next handshake.
func TestReloadOfAuth(t *testing.T) {
	t.Parallel()
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	var asked, conns atomic.Int64
	keys := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))
	}))
	keys.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			conns.Add(1)
		case http.StateClosed:
			conns.Add(-1)
		}
	}
	keys.Start()
	t.Cleanup(keys.Close)
	var status atomic.Int64
	status.Store(401)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	t.Cleanup(server.Close)
	r := startReloading(t, settings(engineiotest.Start(t, engineiotest.Options{})))
	come := func(want int) {
		t.Helper()
		token := sign(t, jwt.SigningMethodEdDSA, private, jwt.MapClaims{"iss": "id"})
		affinitytest.Eventually(t, "the keys are there", func() bool { // or were never needed
			status, said := fetch(t, r.url(handshake+"&token="+token))
			if status != want && status != 503 {
				t.Fatalf("got %d %s, want %d", status, said, want)
			}
			return status == want
		})
	}
	come(200)
	r.must(func(c *config.Config) {
		c.Clusters[0].Auth.JWT = &config.JWT{JWKS: keys.URL, Issuer: "id", From: []string{"query:token"}, Required: true}
	})
	come(200)
	r.must(func(c *config.Config) { c.Clusters[0].MaxBody = 5000 })
	come(200)
	if n := asked.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	r.must(func(c *config.Config) {
		j := *c.Clusters[0].Auth.JWT
		j.Issuer = "another"
		c.Clusters[0].Auth.JWT = &j
	})
	come(403)
	r.must(func(c *config.Config) {
		c.Clusters[0].Auth = config.Auth{Forward: &config.Forward{URL: server.URL, Timeout: patience}}
	})
	come(403)
	status.Store(500)
	affinitytest.Eventually(t, "the fault is told of", func() bool {
		fetch(t, r.url(handshake))
		return strings.Contains(r.log.String(), "the server of auth.forward cannot be asked")
	})
	r.must(func(c *config.Config) { c.Clusters[0].Auth = config.Auth{} })
	come(200)
	affinitytest.Eventually(t, "nobody is connected for keys", func() bool { return conns.Load() == 0 })
	if log := r.log.String(); strings.Contains(log, "eyJ") {
		t.Errorf("a token is in the log: %s", log)
	}
}

// Whoever asks once how a replica is, after the clients were refused, is told that authentication is away, until it works again.
func TestAuthThatIsAwayIsTold(t *testing.T) {
	t.Parallel()
	var code atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(code.Load())) }))
	t.Cleanup(server.Close)
	r := startReloading(t, settings(engineiotest.Start(t, engineiotest.Options{})))
	expect := func(status int, metric, headline string) {
		t.Helper()
		if got, said := fetch(t, r.url(handshake)); got != status {
			t.Errorf("clients get %d %s", got, said)
		}
		if got := strings.Contains(r.metrics(), `sidway_auth_up{cluster="chat"} `+metric); got != (metric != "") {
			t.Errorf("sidway_auth_up is not %s", metric)
		}
		_, text := fetch(t, r.adminURL("/api/status"))
		if !strings.Contains(text, `"headline":"`+headline) {
			t.Errorf("got %.300s, want %s", text, headline)
		}
	}
	const away = "The server of auth.forward of chat cannot be asked, and clients "
	expect(200, "", "All is well")
	for _, open := range []bool{false, true} {
		r.must(func(c *config.Config) {
			c.Clusters[0].Auth = config.Auth{Forward: &config.Forward{URL: server.URL, Timeout: patience, FailOpen: open}}
		})
		code.Store(500)
		if open {
			expect(200, "0", away+"are let in unasked (last tried on ")
		} else {
			expect(503, "0", away+"get no session (last tried on ")
		}
		code.Store(200)
		expect(200, "1", "All is well")
	}
	r.must(func(c *config.Config) {
		c.Clusters[0].Auth = config.Auth{JWT: &config.JWT{JWKS: "http://127.0.0.1:1/", From: []string{"query:token"}}}
	})
	affinitytest.Eventually(t, "it is told that there are no keys", func() bool {
		_, status := fetch(t, r.adminURL("/api/status"))
		return strings.Contains(status, `"headline":"The keys of auth.jwt.jwks of chat cannot be fetched, and clients get no session`) &&
			strings.Contains(r.metrics(), `sidway_auth_up{cluster="chat"} 0`)
	})
}
