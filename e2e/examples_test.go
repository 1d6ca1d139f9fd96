package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

// serve starts sidway with these arguments, in a folder, and returns when it is ready at the admin address.
func serve(t *testing.T, dir, admin string, args ...string) {
	t.Helper()
	r := &replica{admin: admin, process: start(t, command{
		name: "sidway", argv: append([]string{"sh", "-c", `cd "$0" && exec "$@"`, dir, binaryOf(t, sidwayBinary), "serve"}, args...),
	})}
	eventually(t, "sidway is ready", func() bool {
		select {
		case <-r.ended:
			t.Fatalf("sidway ended with %v", r.cmd.ProcessState)
		default:
		}
		return r.ready()
	})
}

// startScript runs a program of Node.js, that finds the modules of package.json, and returns when it listens on address.
func startScript(t *testing.T, file, address string, env ...string) {
	t.Helper()
	start(t, command{name: file, argv: []string{"node", file}, env: append(env, "HOST=127.0.0.1", "PORT="+portOf(address))}).listens(t, address)
}

// say has clients of each kind say something through url, and demands that each hears all of them. It trusts what the file ca holds.
func say(t *testing.T, url, ca string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "node", "testdata/example.mjs", url)
	c.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+ca)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The example of nginx with TLS before two replicas carries its own nodes' sessions.
func TestExampleBehindNginx(t *testing.T) {
	redis, front := affinitytest.StartRedis(t), freeAddress(t)
	n1, n2, r1, r2, a1, a2 := freeAddress(t), freeAddress(t), freeAddress(t), freeAddress(t), freeAddress(t), freeAddress(t)
	startScript(t, "../examples/node/server.mjs", n1, "NAME=n1", "REDIS_URL="+redis.URL())
	startScript(t, "../examples/node/server.mjs", n2, "NAME=n2", "REDIS_URL="+redis.URL())
	here := strings.NewReplacer("redis://127.0.0.1:6379/0", redis.URL(), "127.0.0.1:3001", n1, "127.0.0.1:3002", n2, "127.0.0.1:8080", r1, "127.0.0.1:8081", r2)
	settings := writeFile(t, "sidway.yaml", here.Replace(read(t, "../examples/nginx/sidway.yaml")))
	serve(t, ".", a1, "--config", settings, "--admin", a1)
	serve(t, ".", a2, "--config", settings, "--admin", a2, "--listen", r2)

	a, dir := keyfiletest.NewAuthority(t, "a"), t.TempDir()
	cert, key := a.Issue(t, keyfiletest.Request{Names: []string{"localhost"}}).Write(t, dir, "localhost")
	conf := strings.NewReplacer("events {}\n", "", "cert.pem", cert, "key.pem", key, "listen 8443 ssl", "listen "+front+" ssl").Replace(read(t, "../examples/nginx/nginx.conf"))
	_, http, _ := strings.Cut(here.Replace(conf), "http {\n")
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		http = kind + "_temp_path " + kind + ";\n" + http
	}
	runNginx(t, front, "http {\n"+http)
	say(t, "https://localhost:"+portOf(front), keyfiletest.File(t, dir, "authority.pem", a.PEM))
}

// docs/quickstart.md works as it stands, on other ports.
func TestQuickStart(t *testing.T) {
	page := read(t, "../docs/quickstart.md")
	blocks := func(language string) (all []string) {
		for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(page, -1) {
			all = append(all, m[1])
		}
		return all
	}
	js, yaml := blocks("js"), blocks("yaml")
	if len(js) != 2 || len(yaml) != 2 {
		t.Fatalf("the page has %d programs and %d settings", len(js), len(yaml))
	}
	dir := t.TempDir()
	modules, err := filepath.Abs("../node_modules")
	if err == nil {
		err = os.Symlink(modules, filepath.Join(dir, "node_modules"))
	}
	if err != nil {
		t.Fatal(err)
	}
	n1, n2, listen, admin, secure := freeAddress(t), freeAddress(t), freeAddress(t), freeAddress(t), freeAddress(t)
	here := strings.NewReplacer("127.0.0.1:3001", n1, "127.0.0.1:3002", n2, "127.0.0.1:8080", listen, "localhost:8080", listen, "127.0.0.1:8443", secure, "https:8443", "https:"+portOf(secure))
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(here.Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	node := write("node.mjs", js[0])
	startScript(t, node, n1, "NAME=n1")
	startScript(t, node, n2, "NAME=n2")

	t.Run("by flags", func(t *testing.T) {
		command := regexp.MustCompile(`(?m)^    sidway serve (--node .*)$`).FindStringSubmatch(page)
		serve(t, dir, admin, append(strings.Fields(here.Replace(command[1])), "--listen", listen, "--admin", admin)...)
		out, err := exec.CommandContext(t.Context(), "node", write("client.mjs", js[1]+"socket.on('hello', () => socket.close());\n")).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "connected to n") {
			t.Errorf("the client: %v %q", err, out)
		}
	})
	t.Run("by a file", func(t *testing.T) {
		serve(t, dir, admin, "--config", write("sidway.yaml", yaml[0]), "--admin", admin)
	})
	t.Run("with TLS", func(t *testing.T) {
		openssl := exec.CommandContext(t.Context(), "sh", "-c", regexp.MustCompile(`(?m)^    (openssl .*)$`).FindStringSubmatch(page)[1])
		openssl.Dir = dir
		if out, err := openssl.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		serve(t, dir, admin, "--config", write("sidway.yaml", yaml[1]), "--admin", admin)
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(read(t, filepath.Join(dir, "cert.pem"))))
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
		res, err := (&http.Client{Transport: transport}).Get("http://localhost:" + portOf(listen) + "/socket.io/?EIO=4&transport=polling") // and by the redirect
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if text, _ := io.ReadAll(res.Body); res.TLS == nil || !strings.HasPrefix(string(text), `0{"sid"`) {
			t.Errorf("TLS %v: %s", res.TLS != nil, text)
		}
	})
}
