package main_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// composeFiles are those that the pages tell of.
var composeFiles = []string{"../docker-compose.yml", "compose/scale.yaml", "../examples/compose/compose.yaml"}

// readCompose reads a file with compose's own parser, as `docker compose` would.
func readCompose(t *testing.T, name string) *types.Project {
	t.Helper()
	file, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: filepath.Dir(file), ConfigFiles: []types.ConfigFile{{Filename: file}}, Environment: types.Mapping{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestComposeIsWhole(t *testing.T) {
	p := readCompose(t, composeFiles[0])
	want := []string{"front", "node-1", "node-2", "node-3", "redis", "sidway-1", "sidway-2"}
	if names := p.ServiceNames(); !slices.Equal(slices.Sorted(slices.Values(names)), want) {
		t.Fatalf("services: %v", names)
	}
	for name, s := range p.Services {
		if s.HealthCheck == nil || len(s.HealthCheck.Test) == 0 {
			t.Errorf("%s has no health check", name)
		}
		for dependency := range s.DependsOn {
			if p.Services[dependency].Image != s.Image && s.DependsOn[dependency].Condition != types.ServiceConditionHealthy {
				t.Errorf("%s does not wait until %s is healthy", name, dependency)
			}
		}
		if s.Build == nil {
			continue
		}
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) {
			t.Errorf("%s may do more than it needs", name)
		}
		dockerfile := filepath.Join(s.Build.Context, s.Build.Dockerfile)
		text, err := os.ReadFile(dockerfile)
		if err != nil {
			t.Fatal(err)
		}
		checkDockerfile(t, s.Build, string(text))
	}
	if front := p.Services["front"]; len(front.Ports) != 1 || front.Ports[0].Published != "8080" || front.Ports[0].Target != 8080 {
		t.Errorf("front publishes %v", front.Ports)
	}
	for name, s := range p.Services {
		if name != "front" && len(s.Ports) > 0 {
			t.Errorf("%s is published", name)
		}
	}
}

// TestComposeBuildsEachImageOnce: two builds of one tag at the same time fail on engines with containerd's image store. Who
// has an image from another service must wait for its build, and not ask a registry.
func TestComposeBuildsEachImageOnce(t *testing.T) {
	for i, file := range composeFiles {
		p := readCompose(t, file)
		builders := map[string]string{}
		for name, s := range p.Services {
			if s.Build == nil {
				continue
			}
			if other := builders[s.Image]; other != "" {
				t.Errorf("%s: %s and %s both build %s", file, name, other, s.Image)
			}
			builders[s.Image] = name
		}
		if len(builders) != []int{3, 2, 2}[i] {
			t.Errorf("%s: built are %v", file, builders)
		}
		for name, s := range p.Services {
			builder := builders[s.Image]
			if builder == "" || s.Image == "" { // which no registry could have
				continue
			}
			if s.PullPolicy != types.PullPolicyNever {
				t.Errorf("%s: %s would pull %s", file, name, s.Image)
			}
			if _, depends := s.DependsOn[builder]; !depends && name != builder {
				t.Errorf("%s: %s may start without %s, which builds its image", file, name, builder)
			}
		}
	}
}

// TestComposeHealthChecksUseNoProxy: Docker puts the user's http_proxy into every container, and busybox's wget obeys it.
func TestComposeHealthChecksUseNoProxy(t *testing.T) {
	for _, file := range composeFiles {
		for name, s := range readCompose(t, file).Services {
			if s.HealthCheck == nil {
				continue
			}
			test := strings.Join(s.HealthCheck.Test, " ")
			if strings.Contains(test, "wget") && !strings.HasPrefix(test, "CMD wget -Y off ") {
				t.Errorf("%s: %s: %s", file, name, test)
			}
		}
	}
}

func TestComposeFront(t *testing.T) {
	front := readCompose(t, composeFiles[0]).Services["front"]
	if front.StopSignal != "SIGTERM" {
		t.Errorf("it is stopped by %q, and HAProxy's image waits for open tunnels on SIGUSR1", front.StopSignal)
	}
	if test := strings.Join(front.HealthCheck.Test, " "); !strings.Contains(test, "http://127.0.0.1:8080/") {
		t.Errorf("its health check does not ask its port: %s", test)
	}
}

// checkDockerfile demands that the last stage runs as somebody else than root and that what is copied from the
// repository is there.
func checkDockerfile(t *testing.T, b *types.BuildConfig, text string) {
	t.Helper()
	name := filepath.Join(b.Context, b.Dockerfile)
	_, last, _ := cutLast(text, "\nFROM ")
	if !strings.Contains(last, "\nUSER ") || strings.Contains(last, "\nUSER root") {
		t.Errorf("%s runs as root", name)
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "COPY" || strings.HasPrefix(words[1], "--from") {
			continue
		}
		for _, source := range words[1 : len(words)-1] {
			if found, _ := filepath.Glob(filepath.Join(b.Context, source)); len(found) == 0 {
				t.Errorf("%s copies %s, which is not there", name, source)
			}
		}
	}
}

// TestDockerfilesCopyWhatTheyBuild and nothing else, so that no change elsewhere builds an image anew.
func TestDockerfilesCopyWhatTheyBuild(t *testing.T) {
	for _, image := range []struct{ dockerfile, module, program string }{{"../Dockerfile", "..", "./cmd/sidway"}, {"Dockerfile", ".", "."}} {
		text, err := os.ReadFile(image.dockerfile)
		if err != nil {
			t.Fatal(err)
		}
		sources := map[string]bool{} // whether anything of it is needed
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); len(words) == 3 && words[0] == "COPY" && words[1] == words[2] {
				sources[words[1]] = false
			}
		}
		list := exec.Command("go", "-C", image.module, "list", "-deps", "-f", "{{if not .Standard}}{{.Dir}}{{end}}", image.program)
		list.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		root, err := filepath.Abs("..")
		if err != nil {
			t.Fatal(err)
		}
		for dir := range strings.FieldsSeq(string(out)) {
			if dir, ours := strings.CutPrefix(dir, root+"/"); ours && !need(sources, dir) {
				t.Errorf("%s does not copy %s", image.dockerfile, dir)
			}
		}
		for source, needed := range sources {
			if !needed {
				t.Errorf("%s copies %s in vain", image.dockerfile, source)
			}
		}
	}
}

// need marks the source that dir is in.
func need(sources map[string]bool, dir string) bool {
	for source := range sources {
		if dir == source || strings.HasPrefix(dir, source+"/") {
			sources[source] = true
			return true
		}
	}
	return false
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return "", text, false
	}
	return text[:i], text[i+len(separator):], true
}

// byHand starts the services without an engine: each has an address of its own on the loopback instead of a name in a
// network, and the program that its Dockerfile puts into its image.
type byHand struct {
	t         *testing.T
	addresses map[string]string
	dir       string
}

// with puts addresses in place of names.
func (h *byHand) with(service, text string) string {
	text = strings.ReplaceAll(text, "0.0.0.0:", h.addresses[service]+":")
	text = strings.ReplaceAll(text, "127.0.0.1:", h.addresses[service]+":")
	for name, address := range h.addresses {
		for _, before := range []string{"//", "=", " "} {
			text = strings.ReplaceAll(text, before+name+":", before+address+":")
		}
	}
	return text
}

func (h *byHand) start(s types.ServiceConfig, program ...string) {
	h.t.Helper()
	env := []string{}
	for key, value := range s.Environment {
		env = append(env, key+"="+h.with(s.Name, *value))
	}
	for _, arg := range s.Command {
		program = append(program, h.with(s.Name, arg))
	}
	start(h.t, env, program...)
	h.wait(s, env, program[0])
}

// wait runs the service's health check until it succeeds: of its program, or of a URL.
func (h *byHand) wait(s types.ServiceConfig, env []string, program string) {
	h.t.Helper()
	test := s.HealthCheck.Test[1:] // behind CMD
	last := test[len(test)-1]
	eventually(h.t, s.Name+" is healthy", func() bool {
		if strings.HasPrefix(last, "http://") {
			return healthy(h.t.Context(), h.with(s.Name, last))
		}
		cmd := exec.CommandContext(h.t.Context(), program, test[1:]...)
		cmd.Env = append(os.Environ(), env...)
		return cmd.Run() == nil
	})
}

func healthy(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// TestComposeByHand runs what docker-compose.yml says, but for the engine, and chats.
func TestComposeByHand(t *testing.T) {
	p := readCompose(t, composeFiles[0])
	h := &byHand{t: t, addresses: map[string]string{}, dir: t.TempDir()}
	subnet := fmt.Sprintf("127.%d.%d", 64+os.Getpid()%64, os.Getpid()/64%256)
	for i, name := range slices.Sorted(slices.Values(p.ServiceNames())) {
		h.addresses[name] = fmt.Sprintf("%s.%d", subnet, i+1)
	}
	h.all(p)

	u := startUsers(t, usersConfig{URL: "http://" + h.addresses["front"] + ":8080", Users: 6, Rooms: 1, Polling: 2})
	u.do("enter", nil, nil)
	var where struct{ Nodes []string }
	u.do("where", nil, &where)
	for _, node := range []string{"node-1", "node-2", "node-3"} {
		if !slices.Contains(where.Nodes, node) {
			t.Errorf("nobody is on %s: %v", node, where.Nodes)
		}
	}
	for i := range 6 {
		u.do("say", map[string]any{"user": i, "text": fmt.Sprintf("hello from %d", i)}, nil)
	}
	u.do("hush", nil, nil)
	u.do("settle", nil, nil)
	var r report
	u.do("report", nil, &r)
	if n := r.check(t); n != 6 {
		t.Errorf("%d messages", n)
	}
	u.do("leave", nil, nil)
}

// all starts every service, in the order in which they wait for each other.
func (h *byHand) all(p *types.Project) {
	t := h.t
	t.Helper()
	demo, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	sidway := filepath.Join(buildDir, "sidway")
	if out, err := exec.Command("go", "build", "-C", "..", "-o", sidway, "./cmd/sidway").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.redis(p.Services["redis"])
	h.start(p.Services["node-1"], demo)
	h.start(p.Services["node-2"], demo)
	h.start(p.Services["node-3"], "node", "node/server.mjs")
	h.start(p.Services["sidway-1"], sidway, "serve")
	h.start(p.Services["sidway-2"], sidway, "serve")
	h.front(p.Services["front"])
}

func (h *byHand) redis(redis types.ServiceConfig) {
	t := h.t
	t.Helper()
	redis.Command = append(redis.Command, "--bind", "0.0.0.0:", "--dir", h.dir)
	for i, arg := range redis.Command {
		redis.Command[i] = strings.TrimSuffix(h.with("redis", arg), ":")
	}
	start(t, nil, redis.Command...)
	eventually(t, "Redis listens", func() bool {
		c, err := net.Dial("tcp", h.addresses["redis"]+":6379")
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (h *byHand) front(front types.ServiceConfig) {
	t := h.t
	t.Helper()
	config, err := os.ReadFile("compose/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(h.dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(h.with("front", string(config))), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("haproxy", "-c", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("haproxy: %v\n%s", err, out)
	}
	start(t, nil, "haproxy", "-db", "-f", file)
	h.wait(front, nil, "")
}
