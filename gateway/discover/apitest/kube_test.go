//go:build kube

package apitest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sidway/sidway/gateway/discover"
)

const slicesPath = "/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices"

// A real API server: rights, tokens, pages, changes, a restart, and a version that it has forgotten. KUBE_APISERVER and ETCD say
// where the programs are; `make kube` builds them.
func TestRealAPI(t *testing.T) {
	c := startCluster(t)
	c.create("/api/v1/namespaces", &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: "prod"}})
	c.create("/api/v1/namespaces/prod/serviceaccounts", &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: "sidway"}})
	c.token()
	const many = 501 // one more than a page
	for i := range many {
		s := slice(fmt.Sprintf("chat-%03d", i), "", pod(fmt.Sprintf("chat-%03d", i), fmt.Sprintf("10.1.%d.%d", i/100, i%100+1), discovery.EndpointConditions{}))
		s.Ports = s.Ports[2:]
		c.create(slicesPath, s)
	}
	other := slice("other-1", "", pod("other-1", "10.2.0.1", discovery.EndpointConditions{}))
	other.Labels[discovery.LabelServiceName], other.Ports = "other", other.Ports[2:]
	c.create(slicesPath, other)

	calls := make(chan any, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- (&discover.Kubernetes{Service: "chat", Port: "http", Account: c.dir}).Run(ctx,
			func(nodes []discover.Found) { calls <- nodes }, func(err error) { calls <- fmt.Sprint(err) })
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	// expect takes what is told until it is this: a number of nodes, or a text.
	expect := func(what string, is func(nodes []discover.Found, text string) bool) {
		t.Helper()
		for late := time.After(2 * time.Minute); ; {
			select {
			case call := <-calls:
				nodes, _ := call.([]discover.Found)
				text, _ := call.(string)
				t.Logf("told %d nodes %s", len(nodes), text)
				if is(nodes, text) {
					return
				}
			case <-late:
				t.Fatalf("%s is not told", what)
			}
		}
	}
	rule := "{apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}"
	expect("the missing rule", func(_ []discover.Found, text string) bool { return strings.Contains(text, rule) })
	c.create("/apis/rbac.authorization.k8s.io/v1/namespaces/prod/roles", &rbac.Role{
		ObjectMeta: meta.ObjectMeta{Name: "sidway"},
		Rules:      []rbac.PolicyRule{{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list", "watch"}}},
	})
	c.create("/apis/rbac.authorization.k8s.io/v1/namespaces/prod/rolebindings", &rbac.RoleBinding{
		ObjectMeta: meta.ObjectMeta{Name: "sidway"}, RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "Role", Name: "sidway"},
		Subjects: []rbac.Subject{{Kind: "ServiceAccount", Name: "sidway", Namespace: "prod"}},
	})
	nodes := func(n int) func([]discover.Found, string) bool {
		return func(list []discover.Found, _ string) bool { return len(list) == n }
	}
	expect("all nodes", nodes(many))
	expect("the end of the problem", func(_ []discover.Found, text string) bool { return text == "<nil>" })

	c.do(http.MethodPatch, slicesPath+"/chat-000", json.RawMessage(`{"endpoints":[{"addresses":["10.1.0.1"],"conditions":{"ready":false,"serving":true,"terminating":true},"targetRef":{"kind":"Pod","name":"chat-000"}}]}`), nil)
	expect("the end of a pod", func(list []discover.Found, _ string) bool { return len(list) == many && list[0].Terminating })
	c.do(http.MethodDelete, slicesPath+"/chat-000", nil, nil)
	expect("that a pod has gone", nodes(many-1))

	// A restart ends the watch; the source goes on where it was, with a token that has been replaced.
	c.api.stop()
	c.api = c.startAPI()
	c.token()
	c.do(http.MethodDelete, slicesPath+"/chat-001", nil, nil)
	expect("what changed after a restart", nodes(many-2))

	// While one is away another server changes things and etcd forgets what was before: 410.
	address := c.address
	c.api.stop()
	c.address = freeAddress(t)
	c.api = c.startAPI()
	c.do(http.MethodDelete, slicesPath+"/chat-002", nil, nil)
	c.do(http.MethodDelete, slicesPath+"/chat-003", nil, nil)
	c.api.stop()
	c.address = address
	c.api = c.startAPI()
	expect("what changed unseen", nodes(many-4))
	c.do(http.MethodDelete, slicesPath, nil, nil)
	expect("that nothing is left", nodes(0))
	// All was listed twice: two pages at first, and one more after the API's 410, which it says in an event.
	audit, err := os.ReadFile(filepath.Join(c.dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	lists := 0
	for line := range strings.Lines(string(audit)) {
		if strings.Contains(line, `"verb":"list"`) && strings.Contains(line, `"userAgent":"sidway"`) && strings.Contains(line, `"code":200`) {
			lists++
		}
	}
	if lists != 3 {
		t.Errorf("%d lists, want 3", lists)
		t.Logf("%s", audit)
	}
}

// cluster is an etcd and an API server on loopback.
type cluster struct {
	t       *testing.T
	dir     string // of everything, and a service account's too
	address string // of the API
	etcd    string
	api     *program
	admin   http.Client
}

type program struct {
	cmd *exec.Cmd
}

func (p *program) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func (c *cluster) start(name, variable string, args ...string) *program {
	path := os.Getenv(variable)
	if path == "" {
		c.t.Fatalf("%s does not say where %s is", variable, name)
	}
	log, err := os.OpenFile(filepath.Join(c.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	p := &program{exec.Command(path, args...)}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(p.stop)
	return p
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func startCluster(t *testing.T) *cluster {
	c := &cluster{t: t, dir: t.TempDir(), address: freeAddress(t), etcd: "http://" + freeAddress(t)}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c.write("sa.key", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	c.write("users.csv", "secret,admin,1,system:masters\n")
	c.write("audit.yaml", "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, resources: [{group: discovery.k8s.io}]}]\n")
	c.write("namespace", "prod")
	peer := "http://" + freeAddress(t)
	c.start("etcd", "ETCD", "--data-dir", filepath.Join(c.dir, "etcd"), "--listen-client-urls", c.etcd, "--advertise-client-urls", c.etcd,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	c.api = c.startAPI()
	host, port, _ := net.SplitHostPort(c.address)
	t.Setenv("KUBERNETES_SERVICE_HOST", host)
	t.Setenv("KUBERNETES_SERVICE_PORT", port)
	return c
}

// startAPI starts the server and waits until it is ready. It signs its own certificate, of which it is made the authority.
func (c *cluster) startAPI() *program {
	_, port, _ := net.SplitHostPort(c.address)
	in := func(name string) string { return filepath.Join(c.dir, name) }
	p := c.start("kube-apiserver", "KUBE_APISERVER", "--etcd-servers", c.etcd, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", port,
		"--cert-dir", in("certs"), "--token-auth-file", in("users.csv"), "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.0.0.0/24",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", in("sa.key"), "--service-account-signing-key-file", in("sa.key"),
		"--audit-policy-file", in("audit.yaml"), "--audit-log-path", in("audit.log"), "--endpoint-reconciler-type", "none")
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if pem, err := os.ReadFile(in("certs/apiserver.crt")); err == nil {
			c.write("ca.crt", string(pem))
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(pem)
			c.admin.CloseIdleConnections()
			c.admin.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
			if c.try(http.MethodGet, "/readyz", nil, nil) == nil {
				return p
			}
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(in("kube-apiserver.log"))
			c.t.Fatalf("the API server is not ready:\n%s", log[max(0, len(log)-4000):])
		}
	}
}

func (c *cluster) write(name, text string) {
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// token gives the service account a token, as the kubelet does for a pod.
func (c *cluster) token() {
	var answer authentication.TokenRequest
	c.do(http.MethodPost, "/api/v1/namespaces/prod/serviceaccounts/sidway/token", &authentication.TokenRequest{}, &answer)
	c.write("token", answer.Status.Token)
}

func (c *cluster) create(path string, object any) { c.do(http.MethodPost, path, object, nil) }

func (c *cluster) do(method, path string, object, answer any) {
	c.t.Helper()
	if err := c.try(method, path, object, answer); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) try(method, path string, object, answer any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	if object == nil {
		body = nil
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, "https://"+c.address+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer secret")
	req.Header.Set("Content-Type", map[bool]string{true: "application/merge-patch+json", false: "application/json"}[method == http.MethodPatch])
	resp, err := c.admin.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if resp.StatusCode >= 300 {
		return errors.Join(err, fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, text))
	}
	if answer != nil {
		return json.Unmarshal(text, answer)
	}
	return err
}
