package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidway/sidway/affinity/affinitytest"
)

const jwtSecret = "a-shared-secret-of-32-bytes-or-more"

// tokenFor is a token of a user that ends then, or never.
func tokenFor(t *testing.T, user string, ends time.Time) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": user}
	if !ends.IsZero() {
		claims["exp"] = ends.Unix()
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(jwtSecret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// startGuarded starts a node behind two replicas that share a Redis, and a client that a test has come.
func startGuarded(t *testing.T, k kind) (s *site, client *process) {
	t.Helper()
	return startGuardedBy(t, k, `["header:Authorization", "query:token", "cookie:jwt", protocol]`)
}

// startGuardedBy does so, and has tokens looked for in these places.
func startGuardedBy(t *testing.T, k kind, places string) (s *site, client *process) {
	t.Helper()
	s = &site{redis: affinitytest.StartRedis(t), nodes: startNodes(t, pings{}, k)}
	secret := writeFile(t, "jwt", jwtSecret+"\n")
	rule := fmt.Sprintf(`auth: {jwt: {secret: "file:%s", from: %s, claims: {sub: X-User}, leeway: 0s}}`, secret, places)
	for range 2 {
		s.replicas = append(s.replicas, startReplica(t, s.redis.URL(), s.nodes, rule))
	}
	s.front = startFront(t, s.replicas[0].listen, s.replicas[1].listen)
	client = start(t, command{name: "client", talks: true, argv: []string{"node", "testdata/auth.mjs"}})
	client.hear(t, &struct{ Ready bool }{})
	return s, client
}

// arrival is what became of a client that came.
type arrival struct {
	User, Auth, URL, Protocols, Transport string

	Refused string // the message of the first refusal, of a client that has come again
	Code    int
	Error   string
	Status  any
}

// come has a client connect by these transports with these further options.
func come(t *testing.T, client *process, url string, library int, transports []string, more map[string]any) arrival {
	t.Helper()
	options := map[string]any{"transports": transports}
	for k, v := range more {
		options[k] = v
	}
	var a arrival
	client.ask(t, map[string]any{"cmd": "come", "url": url, "library": library, "options": options}, &a)
	return a
}

var ways = [][]string{{"polling"}, {"polling", "websocket"}, {"websocket"}}

// The real clients bring their tokens in each way that they have, and the real nodes read who they are, without seeing a token.
func TestClientsBringTokens(t *testing.T) {
	for library, k := range map[int]kind{4: node48, 2: node25} {
		t.Run(string(k), func(t *testing.T) {
			s, client := startGuarded(t, k)
			token := tokenFor(t, "ann", time.Now().Add(time.Hour))
			brought := map[string]map[string]any{
				"header": {"extraHeaders": map[string]string{"Authorization": "Bearer " + token, "X-User": "root"}},
				"query":  {"query": map[string]string{"token": token}, "extraHeaders": map[string]string{"X-User": "root"}},
				"cookie": {"extraHeaders": map[string]string{"Cookie": "jwt=" + token}},
			}
			for name, options := range brought {
				for _, transports := range ways {
					got := come(t, client, s.front.url(), library, transports, options)
					if got.User != "ann" || got.Transport != transports[len(transports)-1] || strings.Contains(got.URL, "token") || got.Protocols != "" {
						t.Errorf("%s, %v: got %+v", name, transports, got)
					}
				}
			}
			if library == 4 {
				for offered, left := range map[string]string{token: "", "chat," + token: "chat"} {
					got := come(t, client, s.front.url(), library, []string{"websocket"}, map[string]any{"protocols": strings.Split(offered, ",")})
					if got.User != "ann" || got.Protocols != left {
						t.Errorf("by protocol: %+v", got)
					}
				}
			}
			for name, options := range map[string]map[string]any{
				"no token":   {"extraHeaders": map[string]string{"X-User": "root"}},
				"auth alone": {"auth": map[string]string{"token": token}},
				"expired":    {"query": map[string]string{"token": tokenFor(t, "ann", time.Now().Add(-time.Hour))}},
				"torn":       {"query": map[string]string{"token": token[:len(token)-2]}},
			} {
				for _, transports := range ways {
					if got := come(t, client, s.front.url(), library, transports, options); got.Error == "" || got.User != "" {
						t.Errorf("%s, %v: got %+v", name, transports, got)
					}
				}
			}
			if got := come(t, client, s.front.url(), 4, ways[0], nil); fmt.Sprint(got.Status) != "403" {
				t.Errorf("a client without a token sees %+v", got)
			}
			for _, r := range s.replicas {
				for part := range strings.SplitSeq(token, ".") {
					if strings.Contains(r.said.String(), part) {
						t.Errorf("%s has logged a token: %s", r.name, r.said)
					}
				}
			}
		})
	}
}

// A session ends with its token, by each transport, also where its polls come to a replica that never saw the token.
func TestSessionsEndWithTheirTokens(t *testing.T) {
	for library, k := range map[int]kind{4: node48, 2: node25} {
		t.Run(string(k), func(t *testing.T) {
			s, client := startGuarded(t, k)
			for _, transports := range ways {
				var got arrival
				ends := time.Now()
				for got.User == "" { // a crowded machine may take so long that the token is over
					ends = time.Now().Add(4 * time.Second)
					got = come(t, client, s.front.url(), library, transports, map[string]any{"query": map[string]string{"token": tokenFor(t, "ann", ends)}})
				}
				var end struct {
					Reason string
					After  int
				}
				client.ask(t, map[string]any{"cmd": "end"}, &end)
				if early := time.Until(ends.Truncate(time.Second)); early > 0 || end.After > 30_000 {
					t.Errorf("%v: ended by %q after %d ms, %v before the token", transports, end.Reason, end.After, early)
				}
			}
			eventually(t, "the node has ended them", func() bool { return s.nodes[0].stats(t).Live == 0 })
		})
	}
}

// A client whose auth has a token is refused by it, comes again with another, and its session ends with that one.
func TestTokensInCONNECT(t *testing.T) {
	s, client := startGuardedBy(t, node48, `["connect:token", "query:token"]`)
	bad := tokenFor(t, "ann", time.Now().Add(-time.Hour))
	for _, transports := range ways {
		for _, first := range []string{bad, ""} {
			var got arrival
			var good string
			ends := time.Now()
			for got.Auth == "" { // a crowded machine may take so long that the token is over
				ends = time.Now().Add(4 * time.Second)
				good = tokenFor(t, "ann", ends)
				got = arrival{}
				client.ask(t, map[string]any{
					"cmd": "come", "url": s.front.url(), "library": 4,
					"options": map[string]any{"transports": transports, "auth": map[string]string{"token": first}}, "again": map[string]string{"token": good},
				}, &got)
			}
			if got.Auth != good || got.Refused != "Forbidden" || got.Code != 4 || got.User != "" || got.Transport != transports[len(transports)-1] {
				t.Errorf("%v: got %+v", transports, got)
			}
			var end struct {
				Reason string
				After  int
			}
			client.ask(t, map[string]any{"cmd": "end"}, &end)
			if early := time.Until(ends.Truncate(time.Second)); early > 0 || end.After > 30_000 {
				t.Errorf("%v: ended by %q after %d ms, %v before the token", transports, end.Reason, end.After, early)
			}
		}
		if got := come(t, client, s.front.url(), 4, transports, map[string]any{"auth": map[string]string{"token": bad}}); got.Error != "Forbidden" {
			t.Errorf("%v, with a bad token: %+v", transports, got)
		}
		good := tokenFor(t, "ann", time.Now().Add(time.Hour))
		if got := come(t, client, s.front.url(), 4, transports, map[string]any{"query": map[string]string{"token": good}}); got.User != "ann" {
			t.Errorf("%v, with a token in the query: %+v", transports, got)
		}
	}
	for _, r := range s.replicas {
		for part := range strings.SplitSeq(bad, ".") {
			if strings.Contains(r.said.String(), part) {
				t.Errorf("%s has logged a token: %s", r.name, r.said)
			}
		}
	}
}
