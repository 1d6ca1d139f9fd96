package discover_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/discover"
)

// kubeAPI serves EndpointSlices as the API does: lists in pages, watches from a version on with bookmarks, 410 for versions that it has
// forgotten, and Status objects for whatever it refuses.
type kubeAPI struct {
	t       *testing.T
	account string // a directory as a pod has it

	mu      sync.Mutex
	version int
	oldest  int // the oldest version from which can be watched
	slices  map[string]string
	events  []logged
	news    chan struct{} // closed when there are events, or something was cut
	cut     string        // how open watches end, see endWatches
	cuts    int
	refuse  []answer // what the next requests get instead
	token   string
	asked   []string      // what was asked for
	opened  chan struct{} // one for each watch that has begun
	paged   int           // items of a page at most; 0: the client's limit
}

type logged struct {
	version int
	line    string
}

// answer is one that refuses a request.
type answer struct {
	code  int
	after string
	event bool // as an event of a watch
}

func newKubeAPI(t *testing.T) *kubeAPI {
	k := &kubeAPI{t: t, account: t.TempDir(), version: 10, slices: map[string]string{}, news: make(chan struct{}), opened: make(chan struct{}, 100), token: "t0"}
	k.write("namespace", "prod\n")
	k.write("token", "t0\n")
	return k
}

// inPod serves the API by TLS as a pod finds it, and returns a source for it.
func (k *kubeAPI) inPod(d discover.Kubernetes) *discover.Kubernetes {
	server := httptest.NewTLSServer(k)
	k.t.Cleanup(func() { k.end(server) })
	k.write("ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	u, _ := url.Parse(server.URL)
	k.t.Setenv("KUBERNETES_SERVICE_HOST", u.Hostname())
	k.t.Setenv("KUBERNETES_SERVICE_PORT", u.Port())
	d.Service, d.Account = "chat", k.account
	return (&d).Hurry(time.Millisecond)
}

// proxied serves the API without TLS, as kubectl proxy does.
func (k *kubeAPI) proxied(d discover.Kubernetes) *discover.Kubernetes {
	server := httptest.NewServer(k)
	k.t.Cleanup(func() { k.end(server) })
	d.Service, d.API, d.Account = "chat", server.URL, k.account
	k.token = ""
	return (&d).Hurry(time.Millisecond)
}

func (k *kubeAPI) end(server *httptest.Server) {
	k.endWatches("clean")
	server.Close()
}

// write replaces a file at once, as Kubernetes does.
func (k *kubeAPI) write(file, text string) {
	next := filepath.Join(k.account, "next")
	if err := errors.Join(os.WriteFile(next, []byte(text), 0o600), os.Rename(next, filepath.Join(k.account, file))); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kubeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	watch := q.Get("watch") == "true"
	k.mu.Lock()
	k.asked = append(k.asked, request(q))
	token := k.token
	var refusal *answer
	if len(k.refuse) > 0 && !k.refuse[0].event {
		refusal, k.refuse = &k.refuse[0], k.refuse[1:]
	}
	k.mu.Unlock()
	switch since, _ := strconv.Atoi(q.Get("resourceVersion")); {
	case r.URL.Path != "/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices" || q.Get("labelSelector") != "kubernetes.io/service-name=chat":
		k.status(w, http.StatusNotFound, "the server could not find the requested resource")
	case (token == "") != (r.Header.Get("Authorization") == ""), token != "" && r.Header.Get("Authorization") != "Bearer "+token:
		k.status(w, http.StatusUnauthorized, "Unauthorized")
	case refusal != nil:
		w.Header().Set("Retry-After", refusal.after)
		k.status(w, refusal.code, "a test refuses it")
	case watch && q.Get("allowWatchBookmarks") == "true" && q.Get("timeoutSeconds") != "":
		k.watch(w, r, since)
	case watch:
		k.status(w, http.StatusBadRequest, "a watch without bookmarks or an end")
	default:
		k.list(w, q)
	}
}

func request(q url.Values) string {
	if q.Get("watch") == "true" {
		return "watch " + q.Get("resourceVersion")
	}
	return strings.TrimSpace("list " + q.Get("continue"))
}

func (k *kubeAPI) status(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprint(w, status(code, message))
}

func status(code int, message string) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%q,"code":%d}`, message, code)
}

// list continues behind a name, at the version of the first page.
func (k *kubeAPI) list(w http.ResponseWriter, q url.Values) {
	k.mu.Lock()
	defer k.mu.Unlock()
	limit, _ := strconv.Atoi(q.Get("limit"))
	if k.paged > 0 {
		limit = k.paged
	}
	names := slices.Sorted(maps.Keys(k.slices))
	if at, more := slices.BinarySearch(names, q.Get("continue")); more {
		names = names[at+1:]
	}
	next := ""
	if limit > 0 && len(names) > limit {
		names = names[:limit]
		next = names[limit-1]
	}
	var items []json.RawMessage
	for _, n := range names {
		items = append(items, json.RawMessage(k.slices[n]))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "EndpointSliceList", "items": items, "metadata": map[string]any{"resourceVersion": strconv.Itoa(k.version), "continue": next},
	})
}

func (k *kubeAPI) watch(w http.ResponseWriter, r *http.Request, since int) {
	flush := http.NewResponseController(w).Flush
	k.mu.Lock()
	forgotten, cuts := since < k.oldest, k.cuts
	asEvent := len(k.refuse) > 0 && k.refuse[0].event
	if forgotten && asEvent {
		k.refuse = k.refuse[1:]
	}
	k.mu.Unlock()
	if forgotten && !asEvent {
		k.status(w, http.StatusGone, "too old resource version")
		return
	}
	_ = flush()
	if forgotten {
		fmt.Fprintf(w, `{"type":"ERROR","object":%s}`+"\n", status(http.StatusGone, "too old resource version"))
		return
	}
	k.opened <- struct{}{}
	for {
		k.mu.Lock()
		for _, e := range k.events {
			if e.version > since {
				fmt.Fprintln(w, e.line)
				since = e.version
			}
		}
		news, cut := k.news, k.cut
		ended := k.cuts != cuts
		k.mu.Unlock()
		_ = flush()
		if ended {
			k.endWatch(w, cut)
			return
		}
		select {
		case <-news:
		case <-r.Context().Done():
			return
		}
	}
}

func (k *kubeAPI) endWatch(w http.ResponseWriter, cut string) {
	switch code, _ := strconv.Atoi(cut); {
	case code > 0:
		fmt.Fprintf(w, `{"type":"ERROR","object":%s}`+"\n", status(code, "a test ends it"))
	case cut == "half":
		fmt.Fprint(w, `{"type":"ADDED","object":{"metadata":{"name":"chat-ha`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// endWatches ends the watches that are open: clean, half an event later, or by an ERROR event with a code.
func (k *kubeAPI) endWatches(how string) { k.change(func() { k.endAll(how) }) }

func (k *kubeAPI) endAll(how string) {
	k.cut = how
	k.cuts++
}

func (k *kubeAPI) change(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
	close(k.news)
	k.news = make(chan struct{})
}

// put writes a slice, whose fields behind its name are JSON.
func (k *kubeAPI) put(name, fields string) { k.change(func() { k.store(name, fields) }) }

func (k *kubeAPI) store(name, fields string) {
	k.version++
	kind := "MODIFIED"
	if k.slices[name] == "" {
		kind = "ADDED"
	}
	k.slices[name] = fmt.Sprintf(`{"metadata":{"name":%q,"resourceVersion":"%d"},%s}`, name, k.version, fields)
	k.events = append(k.events, logged{k.version, fmt.Sprintf(`{"type":%q,"object":%s}`, kind, k.slices[name])})
}

func (k *kubeAPI) drop(name string) {
	k.change(func() {
		k.version++
		k.events = append(k.events, logged{k.version, fmt.Sprintf(`{"type":"DELETED","object":{"metadata":{"name":%q,"resourceVersion":"%d"}}}`, name, k.version)})
		delete(k.slices, name)
	})
}

// bookmark says which version it is by now.
func (k *kubeAPI) bookmark() {
	k.change(func() {
		k.version += 100
		k.events = append(k.events, logged{k.version, fmt.Sprintf(`{"type":"BOOKMARK","object":{"kind":"EndpointSlice","metadata":{"resourceVersion":"%d"}}}`, k.version)})
	})
}

// requests are what was asked for since the last call.
func (k *kubeAPI) requests() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	asked := k.asked
	k.asked = nil
	return asked
}

// pods are the fields of a slice with pods: name=address, and conditions r, s, t that are true or, as R, S, T, false.
func pods(family string, list ...string) string {
	var endpoints []string
	for _, p := range list {
		name, rest, _ := strings.Cut(p, "=")
		address, marks, _ := strings.Cut(rest, " ")
		var conditions []string
		for _, m := range strings.Fields(marks) {
			full := map[string]string{"r": "ready", "s": "serving", "t": "terminating"}[strings.ToLower(m)]
			conditions = append(conditions, fmt.Sprintf("%q:%v", full, strings.ToLower(m) == m))
		}
		endpoints = append(endpoints, fmt.Sprintf(`{"addresses":[%q],"conditions":{%s},"zone":"z1","targetRef":{"kind":"Pod","name":%q}}`,
			address, strings.Join(conditions, ","), name))
	}
	return fmt.Sprintf(`"addressType":%q,"ports":[{"name":"metrics","protocol":"UDP","port":9},{"name":"http","protocol":"TCP","port":3001},{"name":"alt","port":3002}],"endpoints":[%s]`,
		family, strings.Join(endpoints, ","))
}

func (k *kubeAPI) read(file string) string {
	b, err := os.ReadFile(filepath.Join(k.account, file))
	if err != nil {
		k.t.Fatal(err)
	}
	return string(b)
}

// stranger is a certificate with which nothing here is signed.
func stranger(t *testing.T) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
