package replica_test

import (
	"crypto/tls"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

// A user with the rights that docs/redis.md gives is enough for sessions, drains, traces, tickets and the end of a replica.
func TestRightsOfThePage(t *testing.T) {
	redis := affinitytest.StartRedis(t)
	rights := regexp.MustCompile("(?s)```redis\n(.*?)\n```").FindStringSubmatch(text(t, "../../docs/redis.md"))
	if !strings.HasSuffix(rights[1], " ~sidway:* "+affinity.Rights) {
		t.Errorf("the page gives %s, and the log advises %s", rights[1], affinity.Rights)
	}
	var words []any
	for _, w := range strings.Fields(rights[1]) {
		words = append(words, w)
	}
	redis.Do(words...)
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Affinity.Redis = "redis://sidway:secret@" + redis.Addr() + "/0"
	cert, key := keyfiletest.NewAuthority(t, "a").Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}}).Write(t, t.TempDir(), "a")
	cfg.TLS.Certificates = []config.Certificate{{Cert: cert, Key: key}}
	cfg.TLS.Tickets, cfg.Listen[1].TLS = []string{config.TicketsOfRedis}, true
	r := start(t, cfg)
	awaitReady(t, r)
	_, opened := fetch(t, r.url("/socket.io/?EIO=4&transport=polling"))
	sid := regexp.MustCompile(`"sid":"([^"]+)"`).FindStringSubmatch(opened)
	if sid == nil {
		t.Fatalf("no session: %s", opened)
	}
	call(t, r, "GET", "/api/sessions/"+sid[1]+"/trace", "")
	for _, path := range []string{"/api/clusters/chat/nodes/n1/drain", "/api/sessions/" + sid[1] + "/trace"} {
		method := map[bool]string{true: "POST", false: "GET"}[strings.HasSuffix(path, "drain")]
		if status, said := call(t, r, method, path, "{}"); status != 200 {
			t.Errorf("%s: %d %s", path, status, said)
		}
	}
	if status, said := call(t, r, "DELETE", "/api/clusters/chat/nodes/n1/drain", ""); status != 200 {
		t.Errorf("the drain is not taken back: %d %s", status, said)
	}
	conn, err := tls.Dial("tcp", r.Addrs()[1].String(), &tls.Config{InsecureSkipVerify: true}) // whose certificate it is does not matter here
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	affinitytest.Eventually(t, "tickets' keys are shared", func() bool { return redis.Calls("hsetnx") > 0 })
	r.stop()
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	if denied := redis.Do("ACL", "LOG"); denied != "[]" {
		t.Errorf("the page lacks rights: %s", denied)
	}
}

// allow gives a user of Redis what these words say.
func allow(r *affinitytest.Redis, words ...string) {
	args := []any{"ACL", "SETUSER"}
	for _, w := range strings.Fields(strings.Join(words, " ")) {
		args = append(args, w)
	}
	r.Do(args...)
}

// A right that bindings do not need is told of once, in the log, the status and at /readyz, and takes no replica out; and so is its end.
func TestMissingRightIsTold(t *testing.T) {
	redis := affinitytest.StartRedis(t)
	allow(redis, "sidway on >hush ~sidway:*", affinity.Rights, "-hset")
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Affinity.Redis = "redis://sidway:hush@" + redis.Addr() + "/0"
	var log lockedBuffer
	r := startLogged(t, cfg, slog.New(slog.NewTextHandler(&log, nil)))
	awaitReady(t, r)
	const says = "Redis refuses this replica HSET, so that replicas do not hear each other, nor of drains and counts: NOPERM "
	affinitytest.Eventually(t, "it is told", func() bool {
		headline := statusOf(t, r).Headline
		return strings.HasPrefix(headline, says) && strings.Contains(headline, "; let the user have "+affinity.Rights)
	})
	if s := statusOf(t, r); !s.Store.Up || !s.Store.Deaf || len(s.Problems) != 1 {
		t.Errorf("%+v, %+v", s.Store, s.Problems)
	}
	if code, body := fetch(t, r.adminURL("/readyz")); code != 200 || !strings.HasPrefix(body, `{"status":"ready","store":"up","reasons":["`+says) {
		t.Errorf("/readyz says %d %s", code, body)
	}
	allow(redis, "sidway +hset")
	const over = "redis refuses this replica none of the rights any more that replicas need to work together"
	affinitytest.Eventually(t, "its end is told", func() bool { return strings.Contains(log.String(), over) })
	if code, body := fetch(t, r.adminURL("/readyz")); code != 200 || body != `{"status":"ready","store":"up"}` {
		t.Errorf("/readyz says %d %s", code, body)
	}
	text := log.String()
	if told, warned := strings.Count(text, `level=ERROR msg="redis refuses this replica a right without which replicas do not hear each other" error=`), strings.Count(text, "level=WARN"); told != 1 || warned != 0 || strings.Count(text, over) != 1 {
		t.Errorf("told %d times, and %d warnings:\n%s", told, warned, text)
	}
}
