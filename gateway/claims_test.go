package gateway_test

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/cluster"
)

// reader is a node that says what it reads in the headers that the gate has given, as docs/auth.md has it.
const reader = `require("http").createServer((q, s) => s.end(JSON.stringify([
	Buffer.from(q.headers["x-user"], "latin1").toString(), JSON.parse(q.headers["x-roles"]),
]))).listen(0, "127.0.0.1", function () { console.log(this.address().port) })`

// TestNodeReadsClaims needs Node.js.
func TestNodeReadsClaims(t *testing.T) {
	t.Parallel()
	c := exec.CommandContext(t.Context(), "node", "-e", reader)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatalf("Node.js: %v", err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("Node.js: %v", err)
	}
	i := newIssuer(t)
	rule := i.rule("query:token")
	rule.Fields = []string{"X-User", "X-Roles"}
	rule.Gate = auth.NewJWT(auth.JWTOptions{Keys: i.keys, Claims: []auth.Claim{{Name: "sub", Header: "X-User"}, {Name: "roles", Header: "X-Roles"}}})
	s := startGateway(t, func(o *siteOptions) {
		o.routes = []gateway.Route{{Path: "/socket.io/", Cluster: cluster.New("c1", cluster.Settings{Nodes: []cluster.Config{
			{Name: "n1", Address: "127.0.0.1:" + strings.TrimSpace(port), Weight: 1},
		}})}}
	}, withAuth(rule))
	for _, name := range []string{"Zoë", "Łukasz", "日本", "𝄞 100% %C3%AB", "plain"} {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": name, "roles": []string{name}}).SignedString(i.secret)
		if err != nil {
			t.Fatal(err)
		}
		dial(t, s.addr).expect(get(handshakeTarget+"&token="+token), 200, `["`+name+`",["`+name+`"]]`)
	}
}
