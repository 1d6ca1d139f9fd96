//go:build linux

// Package rival starts sidway and the proxies that it is measured against, each with a configuration of its own, and
// tells what their processes spend.
//
//	dir, _ := os.MkdirTemp("", "bench")
//	nginx, _ := rival.Named("nginx-2")
//	p, err := nginx.Start(ctx, rival.Plan{Listen: "127.0.0.1:20001", Nodes: nodes, Dir: dir})
//	…
//	before, err := p.Usage()
//	err = p.Stop()
//
// The templates in conf say why each setting was chosen: the aim is what an expert of that proxy would write for this
// work, so that the comparison is with the proxy and not with its defaults. Package rival sends no request.
package rival

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"golang.org/x/sys/unix"
)

//go:embed conf
var conf embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"add": func(a, b int) int { return a + b },
}).ParseFS(conf, "conf/*.tmpl"))

// Direct is the name of the line without a proxy, which every comparison needs and for which nothing is started.
const Direct = "direct"

// Sidway is the Family of every build of sidway.
const Sidway = "sidway"

// A Rival is one way to run one proxy.
type Rival struct {
	Name    string // as in a table: nginx-1, nginx-2
	Family  string // whose forms count as one, the better of them: nginx
	Program string // a name to be found in PATH, or a path
	Workers int    // processes or threads that it is told to use; 0 leaves it to the program
	Moves   bool   // sidway's sessions can move, so that it reads their frames

	template string                     // its configuration
	run      func(file string) []string // arguments that start it in the foreground
	check    func(file string) []string // arguments that only judge the configuration
	version  []string                   // arguments that print its version
}

// All lists every proxy that is measured, sidway first. sidway is the path of its program.
func All(sidway string) []Rival {
	return []Rival{
		Build(Sidway, sidway),
		nginx(1), nginx(2),
		haproxy(1), haproxy(2),
		{
			Name: "caddy", Family: "caddy", Program: "caddy", template: "Caddyfile.tmpl",
			run: func(file string) []string {
				return []string{"run", "--adapter", "caddyfile", "--config", file}
			},
			check: func(file string) []string {
				return []string{"validate", "--adapter", "caddyfile", "--config", file}
			},
			version: []string{"version"},
		},
	}
}

// Newer lists one more form of nginx and of HAProxy: programs of a folder, which tools/newer.sh fills.
func Newer(dir string) []Rival {
	list := []Rival{nginx(2), haproxy(2)}
	for i := range list {
		r := &list[i]
		r.Name, r.Program = r.Family+"-new", filepath.Join(dir, r.Program)
	}
	return list
}

// Build is a build of sidway under a name of its own, so that two of them can be compared.
func Build(name, path string) Rival {
	return Rival{
		Name: name, Family: Sidway, Program: path, template: "sidway.yaml.tmpl",
		run:     func(file string) []string { return []string{"serve", "--config", file} },
		check:   func(file string) []string { return []string{"check", "--config", file} },
		version: []string{"version"},
	}
}

// Moving is a build of sidway whose sessions can move to another node.
func Moving(name, path string) Rival {
	r := Build(name+"-moving", path)
	r.Moves = true
	return r
}

// Floor is a relay that copies bytes and knows nothing, which is package relay: bench is the path of the benchmark's own
// program. It is no rival, but what all of them can be held to.
func Floor(bench string) Rival {
	return Rival{
		Name: "floor", Family: "floor", Program: bench, template: "floor.json.tmpl",
		run: func(file string) []string { return []string{"relay", file} },
	}
}

func nginx(workers int) Rival {
	return Rival{
		Name: fmt.Sprint("nginx-", workers), Family: "nginx", Program: "nginx", Workers: workers,
		template: "nginx.conf.tmpl",
		run:      func(file string) []string { return []string{"-c", file} },
		check:    func(file string) []string { return []string{"-t", "-c", file} },
		version:  []string{"-v"},
	}
}

func haproxy(threads int) Rival {
	return Rival{
		Name: fmt.Sprint("haproxy-", threads), Family: "haproxy", Program: "haproxy", Workers: threads,
		template: "haproxy.cfg.tmpl",
		run:      func(file string) []string { return []string{"-db", "-f", file} },
		check:    func(file string) []string { return []string{"-c", "-f", file} },
		version:  []string{"-v"},
	}
}

// A Plan is where a proxy listens and what it stands in front of. Addresses are host:port.
type Plan struct {
	Listen string
	Admin  string // sidway's health and metrics
	Nodes  []string
	Redis  string // used by sidway alone
	Limit  int    // for connections of clients, which sidway and HAProxy can set; 0: as many as there are descriptors for
	// ByAddress lets nginx choose the node by the client's address, and not by the sid.
	ByAddress bool
	TLS       *TLS   // nil: clients speak plain HTTP
	Dir       string // for the configuration and whatever the proxy writes; has to exist
}

// TLS is what clients that speak it are shown: version 1.3 alone, X25519 and TLS_AES_128_GCM_SHA256.
type TLS struct {
	Cert, Key string // files of PEM; HAProxy takes the key from Cert, which holds both
	Tickets   bool   // clients may resume
}

// Config returns the configuration for a plan.
func (r Rival) Config(p Plan) ([]byte, error) {
	limit, err := descriptors()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = templates.ExecuteTemplate(&b, r.template, struct {
		Plan
		Workers, Descriptors, Connections int
		Moves                             bool
	}{p, r.Workers, limit, (limit - 200) / 2, r.Moves})
	if err != nil {
		return nil, fmt.Errorf("rival: %w", err)
	}
	return b.Bytes(), nil
}

// Check lets the program itself judge its configuration, if it can.
func (r Rival) Check(ctx context.Context, p Plan) error {
	file, err := r.write(p)
	if err != nil || r.check == nil {
		return err
	}
	cmd := exec.CommandContext(ctx, r.Program, r.check(file)...)
	cmd.Env = environment(p.Dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("rival: %s refuses its configuration: %w\n%s", r.Name, err, out)
	}
	return nil
}

// Version is the first line of what the program says of its version; the floor says nothing.
func (r Rival) Version(ctx context.Context) (string, error) {
	if r.version == nil {
		return "", nil
	}
	out, err := exec.CommandContext(ctx, r.Program, r.version...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("rival: %s: %w", r.Name, err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	if first = strings.TrimSpace(first); !strings.Contains(strings.ToLower(first), r.Family) {
		first = r.Family + " " + first // Caddy says only the number
	}
	return first, nil
}

// Start starts the proxy and returns when it takes connections.
func (r Rival) Start(ctx context.Context, p Plan) (*Process, error) {
	file, err := r.write(p)
	if err != nil {
		return nil, err
	}
	return Start(ctx, Command{
		Name: r.Name, Dir: p.Dir, Address: p.Listen,
		Argv: append([]string{r.Program}, r.run(file)...),
	})
}

func (r Rival) write(p Plan) (string, error) {
	text, err := r.Config(p)
	if err != nil {
		return "", err
	}
	file := filepath.Join(p.Dir, r.Name+".conf")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return "", fmt.Errorf("rival: %w", err)
	}
	return file, nil
}

// descriptors is how many files a process that we start may open.
func descriptors() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("rival: %w", err)
	}
	return int(min(limit.Max, 1<<17)), nil
}
