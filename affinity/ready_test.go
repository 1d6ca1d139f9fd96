package affinity_test

import (
	"strings"
	"testing"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// TestReadyOnceTheStoreWasUsable has Redis servers that refuse what is needed, until they do not.
func TestReadyOnceTheStoreWasUsable(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t, "--databases", "4")
	locked := affinitytest.StartRedis(t, "--requirepass", "secret")
	const rights = "GET SET DEL PTTL INCRBY PEXPIRE INFO"
	user := func(name, rights, keys string) []any {
		args := []any{"ACL", "SETUSER", name, "reset", "on", ">secret", keys}
		for _, r := range strings.Fields(rights) {
			args = append(args, "+"+strings.ToLower(r))
		}
		return args
	}
	url := func(userinfo, database string) string {
		return "redis://" + userinfo + "@" + server.Addr() + "/" + database
	}
	cases := map[string]struct {
		url, says string
		mend      []any // a command that gives what is missing
	}{
		"wrong password": {url("alice:secrets", "0"), "WRONGPASS", nil},
		"no password":    {locked.URL(), "NOAUTH", nil},
		"wrong database": {url("", "4"), "DB index is out of range", nil},
		"no such server": {"redis://127.0.0.1:1/0", "connection refused", nil},
		"keys of others": {url("bob:secret", "0"), "NOPERM", user("bob", rights, "~sidway:*")},
	}
	server.Do(user("alice", rights, "~*")...)
	server.Do(user("bob", rights, "~others:*")...)
	for _, r := range strings.Fields(rights) {
		if r == "INFO" {
			continue // a server that does not tell who it is will do
		}
		name := "lacks-" + strings.ToLower(r)
		server.Do(user(name, strings.Replace(rights, r, "", 1), "~*")...)
		c := cases["wrong database"]
		c.url, c.says, c.mend = url(name+":secret", "0"), "NOPERM", user(name, rights, "~*")
		cases[name] = c
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t, c.url)
			affinitytest.Eventually(t, "the reason "+c.says, func() bool {
				err := r.Ready()
				if err == nil {
					t.Fatal("ready although the store refuses")
				}
				return strings.Contains(err.Error(), c.says)
			})
			if strings.Contains(r.Ready().Error(), "secret") {
				t.Errorf("a password is told: %v", r.Ready())
			}
			if c.mend != nil {
				server.Do(c.mend...)
				affinitytest.Eventually(t, "a replica that is ready", func() bool { return r.Ready() == nil })
			}
		})
	}
}

func TestReadyWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	r := newReplica(t, server.URL())
	affinitytest.Eventually(t, "a replica that is ready", func() bool { return r.Ready() == nil })
	server.Kill()
	affinitytest.Eventually(t, "a store that is down", func() bool { return r.State() == affinity.Down })
	if err := r.Ready(); err != nil {
		t.Errorf("no longer ready: %v", err)
	}
}
