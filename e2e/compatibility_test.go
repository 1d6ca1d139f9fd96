package e2e_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/compatibility.md")

// versions tells which version of a package or a Go module the tests run.
type versions struct {
	npm map[string]string // as package.json has them: 4.8.4, or npm:socket.io@2.5.1
	mod string            // adapter/go.mod
}

func readVersions(t *testing.T) versions {
	t.Helper()
	var file struct{ Dependencies map[string]string }
	if err := json.Unmarshal([]byte(read(t, "../package.json")), &file); err != nil {
		t.Fatal(err)
	}
	return versions{file.Dependencies, read(t, "../adapter/go.mod")}
}

// of is "name 1.2.3" of a package in package.json, under the name that it has at npm.
func (v versions) of(t *testing.T, pkg string) string {
	t.Helper()
	version, known := v.npm[pkg]
	if !known {
		t.Fatalf("package.json has no %s", pkg)
	}
	if alias := regexp.MustCompile(`^npm:(.+)@(.+)$`).FindStringSubmatch(version); alias != nil {
		return alias[1] + " " + alias[2]
	}
	return pkg + " " + version
}

// goLibrary is the same of the Go server.
func (v versions) goLibrary(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`zishang520/(socket\.io/v2) v(\S+)`).FindStringSubmatch(v.mod)
	if m == nil {
		t.Fatal("adapter/go.mod has no socket.io/v2")
	}
	return m[1] + " " + m[2] + " (Go)"
}

func (v versions) kind(t *testing.T, k kind) string {
	t.Helper()
	switch k {
	case nodeGo:
		return v.goLibrary(t)
	case moveNode:
		return v.of(t, "socket.io") + " with " + v.of(t, "@socket.io/redis-streams-adapter")
	case moveKept:
		return "the same with @sidway/recovery"
	case moveGo:
		return v.goLibrary(t) + " with sidway's Streams"
	default:
		return v.of(t, packages[k])
	}
}

// matrix is a table of what was tested with what, in the order in which the rows came.
type matrix struct {
	corner        string
	rows, columns []string
	tested        map[string]bool
}

func (m *matrix) add(row, column string) {
	if m.tested == nil {
		m.tested = map[string]bool{}
	}
	if !slices.Contains(m.rows, row) {
		m.rows = append(m.rows, row)
	}
	m.tested[row+"\n"+column] = true
}

func (m *matrix) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s |\n|---|%s\n", m.corner, strings.Join(m.columns, " | "), strings.Repeat(":-:|", len(m.columns)))
	for _, row := range m.rows {
		fmt.Fprintf(&b, "| %s |", row)
		for _, column := range m.columns {
			mark := map[bool]string{true: "yes", false: "–"}[m.tested[row+"\n"+column]]
			fmt.Fprintf(&b, " %s |", mark)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// clientOf is the package of a plan's client.
func (p plan) clientOf() string {
	switch {
	case p.Client != "":
		return p.Client
	case p.Library == 2:
		return "socket.io-client-2"
	default:
		return "socket.io-client"
	}
}

func (v versions) sessions(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{corner: "client"}
	for _, k := range []kind{node48, node47, node46, node31, node25, nodeGo} {
		m.columns = append(m.columns, v.kind(t, k))
	}
	for _, client := range []string{"socket.io-client", "socket.io-client-4.7", "socket.io-client-4.6", "socket.io-client-3", "socket.io-client-2"} {
		for _, c := range sessionCases {
			for _, k := range c.nodes {
				if c.plan.clientOf() == client {
					m.add(v.of(t, client), v.kind(t, k))
				}
			}
		}
	}
	for _, c := range jsonpCases {
		m.add(fmt.Sprintf("script elements (JSONP), Engine.IO %d", c.eio), v.kind(t, c.kind))
	}
	return m
}

func (v versions) moves(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{corner: "client"}
	for _, k := range []kind{moveNode, moveKept, moveGo} {
		m.columns = append(m.columns, v.kind(t, k))
	}
	for _, c := range moveCases {
		client := c.client
		if client == "" {
			client = "socket.io-client"
		}
		for _, k := range c.kinds {
			m.add(v.of(t, client), v.kind(t, k))
		}
	}
	return m
}

// adapters are Node's packages that the adapter's tests put beside it in one cluster.
func (v versions) adapters(t *testing.T) string {
	t.Helper()
	programs := read(t, "../adapter/testdata/server.mjs") + read(t, "../adapter/testdata/emitter.mjs")
	var b strings.Builder
	b.WriteString("| sidway's adapter | Node's |\n|---|---|\n")
	for _, row := range [][2]string{
		{"PubSub, Sharded", "@socket.io/redis-adapter"}, {"Streams", "@socket.io/redis-streams-adapter"}, {"Emitter", "@socket.io/redis-emitter"},
	} {
		if !strings.Contains(programs, `"`+row[1]+`"`) {
			t.Errorf("no test of the adapter runs %s", row[1])
		}
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], v.of(t, row[1]))
	}
	return b.String()
}

// The page is made of the tables that the tests run, and so has no version that no test runs.
func TestTheCompatibilityPageIsMadeOfTheTests(t *testing.T) {
	const page = "../docs/compatibility.md"
	v := readVersions(t)
	text := fmt.Sprintf(`# Compatibility

<!-- Made from the tables of the tests by: make docs -->

Each version on this page is run by a test, and no other version is. sidway speaks Engine.IO 3 and 4, as HTTP/1.1 and WebSocket, and leaves
Socket.IO to clients and nodes, so that other versions and other languages are expected to work; where one does not, tell us.

## Clients and servers

A yes means that [a test](../e2e/sessions_test.go) has sessions of that client by polling, by polling with an upgrade, and by WebSocket alone on
that server, through two replicas whose connections alternate: nobody is disconnected, and no message is lost, doubled, reordered or
damaged. The servers have `+"`allowEIO3: true`"+`. A dash means that no test does it. Clients of 3 and 4 cannot talk to a server of 2, with or without sidway.
JSONP has [a test of its own](../e2e/jsonp_test.go).

%s
[Another test](../e2e/languages_test.go) has nodes and clients of python-socketio, as Debian has it, talk to each other and to those of Node, likewise
in each transport.

## Sessions that move

The clients that stay connected while their session [moves](moving.md) to another node, in [a rolling restart](../e2e/move_test.go) of all nodes:

%s
## Go adapter

A server of %s with [sidway's adapter](adapter.md) and one of %s with Node's are one cluster in [its tests](../adapter/interop_test.go):

%s
## What else the tests run

Redis, HAProxy, nginx, Chromium and Python are those of Debian, and so is Node.js: the tests install what is missing ([tools/deps.sh](../tools/deps.sh)).
`, v.sessions(t), v.moves(t), v.goLibrary(t), v.of(t, "socket.io"), v.adapters(t))
	if *update {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := os.ReadFile(page); err != nil || string(found) != text {
		t.Errorf("%s is not what the tests run (%v); write it by: make docs", page, err)
	}
}
