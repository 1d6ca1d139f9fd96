package gateway_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sidway/sidway/"

// arrows are the packages of this module that each of its packages may know; docs/architecture.md draws them. Nothing runs back
// up, what is pure knows nothing that has a descriptor, and whoever adds an arrow adds it here.
var arrows = map[string][]string{
	"cmd/sidway":      {"affinity", "gateway/api", "gateway/config", "gateway/guard", "gateway/notice", "gateway/replica"},
	"gateway/replica": {"affinity", "engineio", "gateway", "gateway/admin", "gateway/api", "gateway/auth", "gateway/certs", "gateway/cluster", "gateway/config", "gateway/control", "gateway/guard", "gateway/keyfile", "gateway/loop", "gateway/notice", "gateway/page", "gateway/quota", "gateway/recovery", "gateway/sock", "gateway/static", "gateway/trace", "gateway/tunnel"},
	"gateway/api":     {"gateway/config", "gateway/control", "gateway/notice"},
	"gateway/control": {"gateway/cluster", "gateway/config", "gateway/discover", "gateway/health", "gateway/notice", "gateway/proxyheader"},
	"gateway": {
		"affinity", "engineio", "gateway/auth", "gateway/cluster", "gateway/guard", "gateway/http1", "gateway/limits", "gateway/loop", "gateway/notice", "gateway/pace", "gateway/packet", "gateway/proxyheader", "gateway/recovery", "gateway/request", "gateway/sock", "gateway/throttle", "gateway/tlsconn", "gateway/trace", "gateway/tunnel",
	},
	"gateway/request":     {"affinity", "engineio", "gateway/auth", "gateway/cluster", "gateway/guard", "gateway/http1", "gateway/recovery"},
	"gateway/auth":        {"gateway/jwk"},
	"gateway/jwk":         {},
	"gateway/static":      {"gateway/notice"},
	"gateway/trace":       {"gateway/notice"},
	"gateway/tunnel":      {"gateway/loop", "gateway/sock"},
	"gateway/throttle":    {},
	"gateway/tlsconn":     {"gateway/loop", "gateway/sock"},
	"gateway/loop":        {"gateway/sock"},
	"gateway/health":      {"engineio"},
	"gateway/cluster":     {"gateway/notice", "gateway/pace"},
	"gateway/pace":        {},
	"gateway/sock":        {},
	"gateway/http1":       {},
	"gateway/notice":      {},
	"gateway/admin":       {"gateway/notice"},
	"gateway/config":      {"affinity/redisurl", "gateway/guard", "gateway/jwk", "gateway/keyfile", "gateway/limits", "gateway/nodename"},
	"gateway/certs":       {"gateway/config", "gateway/keyfile", "gateway/notice", "gateway/pace"},
	"gateway/keyfile":     {},
	"gateway/discover":    {"gateway/nodename"},
	"gateway/guard":       {},
	"gateway/packet":      {"engineio"},
	"gateway/recovery":    {},
	"gateway/limits":      {},
	"gateway/page":        {},
	"gateway/nodename":    {},
	"gateway/quota":       {},
	"affinity":            {"affinity/redisurl", "engineio"},
	"affinity/redisurl":   {},
	"engineio":            {},
	"gateway/proxyheader": {},
}

// rawCalls are the packages that may make system calls on sockets.
var rawCalls = []string{"gateway/sock", "gateway/loop"}

func TestArrows(t *testing.T) {
	seen := map[string]bool{}
	for _, top := range []string{"cmd", "gateway", "affinity", "engineio"} {
		filepath.WalkDir(filepath.Join("..", top), func(path string, d os.DirEntry, err error) error {
			if err != nil {
				t.Error(err)
				return err
			}
			if strings.HasSuffix(path, "test.go") || !strings.HasSuffix(path, ".go") || strings.HasSuffix(filepath.Dir(path), "test") {
				return nil
			}
			name := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), ".."+string(filepath.Separator)))
			allowed, known := arrows[name]
			if seen[name] = true; !known {
				t.Errorf("%s is not drawn: say what it may know", name)
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				t.Error(err)
				return nil
			}
			for _, i := range f.Imports {
				imported, _ := strconv.Unquote(i.Path.Value)
				to, ours := strings.CutPrefix(imported, module)
				if ours && !slices.Contains(allowed, to) {
					t.Errorf("%s imports %s", path, to)
				}
				if imported == "golang.org/x/sys/unix" && !slices.Contains(rawCalls, name) && name != "gateway/replica" {
					t.Errorf("%s makes system calls of its own", path)
				}
			}
			return nil
		})
	}
	for name := range arrows {
		if !seen[name] {
			t.Errorf("%s is drawn and does not exist", name)
		}
	}
}

// docs/architecture.md tells the road by the functions that a request passes.
func TestArchitectureNamesWhatExists(t *testing.T) {
	page, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, pattern := range []string{"*.go", "*/*.go"} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(b)
		}
	}
	named := 0
	for _, quoted := range regexp.MustCompile("`[A-Za-z0-9]+(\\.[A-Za-z]+)?`").FindAllString(string(page), -1) {
		name := strings.Trim(quoted, "`")
		name = name[strings.IndexByte(name, '.')+1:]
		if named++; !regexp.MustCompile(`\b` + name + `\b`).MatchString(code.String()) {
			t.Errorf("%s is nowhere in the code", quoted)
		}
	}
	if named < 40 {
		t.Errorf("only %d names: has the page another form?", named)
	}
}
