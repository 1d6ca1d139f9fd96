package affinity_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidway/sidway/affinity"
)

func TestOpen(t *testing.T) {
	for url, want := range map[string]redis.Options{
		"redis://localhost":               {Addr: "localhost:6379"},
		"redis://h:1":                     {Addr: "h:1"},
		"redis://h:1/":                    {Addr: "h:1"},
		"redis://u:p@h:1/7":               {Addr: "h:1", Username: "u", Password: "p", DB: 7},
		"redis://:p%40%2F%3A:@h":          {Addr: "h:6379", Password: "p@/::"},
		"redis://u@h":                     {Addr: "h:6379", Username: "u"},
		"redis://[::1]":                   {Addr: "[::1]:6379"},
		"redis://a%40b:c@[::1]:99/15":     {Addr: "[::1]:99", Username: "a@b", Password: "c", DB: 15},
		"redis+sentinel://s1,s2:5/main/3": {Addr: "FailoverClient", DB: 3},
		"redis+sentinel://u:p@s1/a%20b":   {Addr: "FailoverClient", Username: "u", Password: "p"},
		"redis+sentinel://s1/m?sentinel_password=x&sentinel_username=y": {Addr: "FailoverClient"},
	} {
		c, err := affinity.Open(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		o := c.(*redis.Client).Options()
		if o.Addr != want.Addr || o.Username != want.Username || o.Password != want.Password || o.DB != want.DB || o.TLSConfig != nil {
			t.Errorf("%s: %s %s %s %d", url, o.Addr, o.Username, o.Password, o.DB)
		}
		if o.MaxRetries != 0 || o.DialerRetries != 1 || !o.ContextTimeoutEnabled || o.ReadTimeout > 100*time.Millisecond || o.PoolTimeout > 100*time.Millisecond {
			t.Errorf("%s: not set up for the road: %+v", url, o)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenClusterAndTLS(t *testing.T) {
	c := open(t, "rediss+cluster://u:p@a,b:2,[::1]:3/0").(*redis.ClusterClient).Options()
	if got := strings.Join(c.Addrs, " "); got != "a:6379 b:2 [::1]:3" || c.Username != "u" || c.Password != "p" || c.TLSConfig == nil {
		t.Errorf("%s %s %s", got, c.Username, c.Password)
	}
	if open(t, "rediss://h").(*redis.Client).Options().TLSConfig == nil || open(t, "rediss+sentinel://h/m").(*redis.Client).Options().TLSConfig == nil {
		t.Error("rediss without TLS")
	}
}

func TestOpenRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for url, hint := range map[string]string{
		"":                              "redis://",
		"localhost:6379":                "redis://",
		"http://h":                      "redis://",
		"redis+unknown://h":             "redis+sentinel://",
		"redis+://h":                    "redis+sentinel://",
		"redis://":                      "host",
		"redis://h:":                    "port",
		"redis://h:0":                   "port",
		"redis://h:65536":               "port",
		"redis://h:a":                   "port",
		"redis://a b":                   "host",
		"redis://::1":                   "[IPv6]",
		"redis://a,b":                   "redis+cluster://",
		"redis://h/one":                 "number",
		"redis://h/-1":                  "number",
		"redis://h/0/1":                 "number",
		"redis+cluster://h/1":           "database 0",
		"redis+cluster://h,":            "host",
		"redis+sentinel://h":            "master",
		"redis+sentinel://h//0":         "master",
		"redis+sentinel://h/m/x":        "number",
		"redis://h?ca=x":                "rediss",
		"rediss://h?ca=/nowhere.pem":    "no such file",
		"rediss://h?ca=" + empty:        "no PEM",
		"rediss://h?ca=a&ca=b":          "twice",
		"redis://h?timeout=1":           "not known",
		"redis://h?sentinel_password=x": "not known",
		"redis://h?%zz":                 "well formed",
		"redis://:pass%zz@h":            "%25",
		"redis://:pa/ss@h":              "%2F",
		"redis://:pa?ss@h":              "%3F",
		"redis://:pa#ss@h":              "%23",
	} {
		c, err := affinity.Open(url)
		if err == nil {
			_ = c.Close()
			t.Errorf("%q was taken", url)
			continue
		}
		if !strings.Contains(err.Error(), hint) || !strings.HasPrefix(err.Error(), "affinity: redis URL: ") {
			t.Errorf("%q: %v, want a hint at %q", url, err, hint)
		}
	}
}

// No URL panics, none that is refused shows its password, and what is taken can be closed.
func FuzzOpen(f *testing.F) {
	for _, s := range []string{"p@ss", "a/b?c#d", "%zz", "h:1", "@", ",", "]["} {
		f.Add("redis", s, "h:1/0")
		f.Add("rediss+sentinel", s, "h:1,[::1]/main/0?sentinel_password=x")
		f.Add("redis+cluster", s, "h,h:2")
	}
	f.Fuzz(func(t *testing.T, scheme, password, rest string) {
		const marker = "Q7zX1"
		c, err := affinity.Open(scheme + "://user:" + marker + password + marker + "@" + rest)
		if err == nil {
			_ = c.Close()
			return
		}
		if strings.Contains(err.Error(), marker) && !strings.Contains(scheme+rest, marker) {
			t.Errorf("the error shows the password: %v", err)
		}
	})
}
