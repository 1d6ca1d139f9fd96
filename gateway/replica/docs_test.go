package replica_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/tunnel"
)

const (
	metrics = "../../docs/metrics.md"
	logs    = "../../docs/logs.md"
)

// recorder notes what is registered with it; a Registry itself tells only of what has counted something.
type recorder struct{ descs []described }

// described is a metric's description, and the Go type of what counts it.
type described struct{ text, of string }

var (
	inCode  = regexp.MustCompile("`(sidway_[a-z_]+)\\b")
	suffix  = regexp.MustCompile(`_(bucket|sum|count)$`)       // of a histogram
	faulty  = regexp.MustCompile(`\bfault[A-Z]\w* *= "(\w+)"`) // constants
	differs = regexp.MustCompile(`\breason: "(\w+)"`)          // what replicas compare
	theWord = regexp.MustCompile("`([a-z_]+)`")
	happens = regexp.MustCompile(`\b(?:event|OnEvent|tell)\("(\w+)"`)          // what is told by its kind
	changed = regexp.MustCompile(`\bfield(?:Node|Drain|Release) += "(\w+) ?"`) // and by that of a change
)

func (r *recorder) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		c.Describe(descs)
	}()
	for d := range descs {
		r.descs = append(r.descs, described{d.String(), fmt.Sprintf("%T", c)})
	}
	return nil
}

func (r *recorder) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = r.Register(c)
	}
}

func (r *recorder) Unregister(prometheus.Collector) bool { return false }

// Each metric stands in docs/metrics.md as its registration has it, and no page names one that there is not.
func TestMetricsAreDocumented(t *testing.T) {
	var registered recorder
	gateway.NewMetrics(&registered)
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Affinity.Redis = affinitytest.StartRedis(t).URL()
	cfg.Clusters[0].Health = &config.Health{Interval: 10 * time.Millisecond, Timeout: patience, Rise: 1, Fall: 1}
	cfg.Clusters[0].Auth.JWT = &config.JWT{JWKS: "http://127.0.0.1:1/"}
	cfg.Clusters[0].Discover = &config.Discover{Kubernetes: &config.Kubernetes{Service: "chat", Namespace: "prod", API: "http://127.0.0.1:1"}}
	cert, key := keyfiletest.NewAuthority(t, "a").Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}}).Write(t, t.TempDir(), "a")
	cfg.TLS.Certificates = []config.Certificate{{Cert: cert, Key: key}}
	r, page := start(t, cfg), ""
	if status, said := call(t, r, "POST", "/api/clusters/chat/nodes/n1/drain", `{"deadline": "5m"}`); status != 200 {
		t.Fatal(status, said)
	}
	affinitytest.Eventually(t, "a node is probed", func() bool {
		_, page = fetch(t, r.adminURL("/metrics"))
		return strings.Contains(page, "sidway_probes_total")
	})
	table := metricsTable(&registered, page)
	if strings.Contains(table, "|  |  |") {
		t.Errorf("a metric has no type:\n%s", table)
	}
	isMade(t, metrics, "metrics", table)
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(pages, "../../README.md") {
		for _, name := range matches(inCode, text(t, p)) {
			if base := suffix.ReplaceAllString(name, ""); !strings.HasPrefix(name, "sidway_adapter_") && !strings.Contains(table, "`"+name+"`") && !strings.Contains(table, "`"+base+"`") {
				t.Errorf("%s names %s, which is no metric", p, name)
			}
		}
	}
}

// The values of labels that mean something are explained there, and no others.
func TestLabelValuesAreDocumented(t *testing.T) {
	var outcomes, causes, reasons []string
	for o := affinity.Stored; o <= affinity.Failed; o++ {
		outcomes = append(outcomes, o.String())
	}
	for c := tunnel.ClientClosed; c <= tunnel.Failed; c++ {
		causes = append(causes, c.String())
	}
	for c := engineio.SessionGone; c <= engineio.Internal; c++ {
		reasons = append(reasons, c.String())
	}
	reasons = append(reasons, "bad_head", "redirect", "challenge") // which have no Cause
	same(t, "outcomes", tabled(t, metrics, "### outcome: what became of a binding"), outcomes)
	same(t, "causes", tabled(t, metrics, "### cause: what ended a tunnel"), causes)
	same(t, "reasons", tabled(t, metrics, "### reason: why a request was answered here"), reasons)

	var kinds []string
	for k := range request.Kinds {
		kinds = append(kinds, k.String())
	}
	same(t, "kinds", tabled(t, metrics, "### kind: what was asked for"), kinds)

	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	faults := append(matches(differs, text(t, "compare.go")), matches(faulty, text(t, "twins.go")+text(t, "losses.go")+text(t, "memories.go")+text(t, "rights.go"))...)
	for _, f := range files {
		faults = append(faults, matches(faulty, text(t, f))...)
	}
	same(t, "faults", tabled(t, metrics, "### reason: what seems to be set up wrongly"), faults)
}

// The status and the words of each answer that is made here stand there too.
func TestAnswersAreDocumented(t *testing.T) {
	for c := engineio.SessionGone; c <= engineio.Internal; c++ {
		if c == engineio.Preflighted { // which has no words
			continue
		}
		statuses := []string{}
		for _, k := range []engineio.Kind{engineio.PollGET, engineio.PollPOST, engineio.WebSocketGET} {
			if s := strconv.Itoa(engineio.AnswerFor(k, engineio.Query{Version: 4}, c).Status); !slices.Contains(statuses, s) {
				statuses = append(statuses, s)
			}
		}
		said := engineio.AnswerFor(engineio.WebSocketGET, engineio.Query{Version: 4}, c).Body
		row := fmt.Sprintf("| `%s` | %s | %s |", c, strings.Join(statuses, ", "), said)
		if c == engineio.BadRequest { // and 404 for a host
			row = fmt.Sprintf("| `%s` | 400, 404 | %s |", c, said)
		}
		if !strings.Contains(text(t, metrics), row) {
			t.Errorf("docs/metrics.md lacks %s", row)
		}
	}
}

// Each kind of event that there is stands in the API's document, and no other.
func TestKindsOfEventsAreDocumented(t *testing.T) {
	var kinds []string
	for _, pattern := range []string{"*.go", "../control/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !strings.HasSuffix(f, "_test.go") {
				kinds = append(append(kinds, matches(happens, text(t, f))...), matches(changed, text(t, f))...)
			}
		}
	}
	kind, _ := reflect.TypeFor[api.Event]().FieldByName("Kind")
	same(t, "kinds", strings.Split(kind.Tag.Get("doc"), ", "), kinds)
}

func text(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// matches returns what the group of re found.
func matches(re *regexp.Regexp, s string) []string {
	var all []string
	for _, m := range re.FindAllStringSubmatch(s, -1) {
		all = append(all, m[1])
	}
	return all
}

// tabled returns the words in the first column of the table below a heading of a page.
func tabled(t *testing.T, page, heading string) []string {
	t.Helper()
	_, section, found := strings.Cut(text(t, page), "\n"+heading+"\n")
	if !found {
		t.Fatalf("no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n#")
	var words []string
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "| `") {
			words = append(words, matches(theWord, strings.Split(line, "|")[1])...)
		}
	}
	return words
}

// same demands that documented has each of want once, and nothing else.
func same(t *testing.T, what string, documented, want []string) {
	t.Helper()
	slices.Sort(want)
	want = slices.Compact(want)
	for _, name := range documented {
		if !slices.Contains(want, name) {
			t.Errorf("%s: %s is documented, but there is none", what, name)
		}
	}
	for _, name := range want {
		first := slices.Index(documented, name)
		if first < 0 || slices.Contains(documented[first+1:], name) {
			t.Errorf("%s: %s is not documented, or twice", what, name)
		}
	}
}
