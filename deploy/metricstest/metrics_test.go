// Package metricstest tests that the dashboard and the alerts ask for metrics that there are.
package metricstest

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/goccy/go-yaml"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
	"github.com/sidway/sidway/gateway/replica"
)

const (
	alerts    = "../prometheus/alerts.yaml"
	dashboard = "../grafana/sidway.json"
	metrics   = "../../docs/metrics.md"
)

// series are the labels of each metric that a replica shows, what Prometheus itself adds included.
type series map[string][]string

// live returns what a replica shows after some traffic of every kind.
func live(t *testing.T) series {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.Admin.Listen, cfg.Runtime.BusyLoops = []config.Listener{
		{Address: "127.0.0.1:0"}, {Address: "127.0.0.1:0", TLS: true}, {Address: "127.0.0.1:0", ProxyProtocol: true},
	}, "127.0.0.1:0", false
	cfg.Shutdown = config.Shutdown{Deadline: time.Second, Waves: 1}
	cfg.Affinity.Redis = affinitytest.StartRedis(t).URL()
	cert, key := keyfiletest.NewAuthority(t, "a").Issue(t, keyfiletest.Request{Names: []string{"chat.example.com"}}).Write(t, t.TempDir(), "a")
	cfg.TLS.Certificates = []config.Certificate{{Cert: cert, Key: key}}
	c := config.Cluster{Name: "chat", Path: "/socket.io/", Balance: config.LeastSessions}
	c.Auth.JWT = &config.JWT{JWKS: "http://127.0.0.1:1/"} // for which no client needs a token
	c.Health = &config.Health{Interval: 10 * time.Millisecond, Timeout: 5 * time.Second, Rise: 1, Fall: 1}
	for _, name := range []string{"n1", "n2"} {
		n := engineiotest.Start(t, engineiotest.Options{})
		c.Nodes = append(c.Nodes, config.Node{Name: name, URL: n.URL(), Weight: 1, Labels: map[string]string{"version": "v1"}})
	}
	cfg.Clusters = []config.Cluster{{
		Name: "talk", Host: []string{"talk.test"}, Path: "/socket.io/", Balance: config.LeastSessions, Discover: &config.Discover{DNS: "localhost:1"},
	}, c}
	r, err := replica.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- r.Run(t.Context()) }() // which ends before cleanups begin
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	clients, admin := r.Addrs()[0].String(), "http://"+r.AdminAddr().String()
	affinitytest.Eventually(t, "a replica that is ready", func() bool {
		res, err := http.Get(admin + "/readyz")
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == 200
	})
	traffic(t, clients, admin)
	for _, foreign := range r.Addrs()[1:] { // which want TLS, and a header of the PROXY protocol
		if res, err := http.Get("http://" + foreign.String()); err == nil {
			res.Body.Close()
		}
	}
	seen := series{}
	affinitytest.Eventually(t, "probes and the ends of WebSockets", func() bool {
		seen = read(t, admin+"/metrics")
		return seen["sidway_probes_total"] != nil && seen["sidway_setup_faults_total"] != nil
	})
	seen["up"] = []string{"job", "instance"}
	return seen
}

// traffic makes handshakes, polls and WebSockets, a drain, and a request that shows that something is set up wrongly.
func traffic(t *testing.T, clients, admin string) {
	t.Helper()
	ask := func(method, url, body string) string {
		q, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		said, _ := io.ReadAll(res.Body)
		return string(said)
	}
	page := "http://" + clients + "/socket.io/?EIO=4&transport=polling"
	sid := regexp.MustCompile(`"sid":"([^"]+)"`).FindStringSubmatch(ask("GET", page, ""))
	if sid == nil {
		t.Fatal("no session")
	}
	ask("POST", page+"&sid="+sid[1], "4hello")
	ask("GET", page+"&sid="+sid[1], "")
	ask("GET", page+"&sid=unknown1234", "")
	ask("GET", "http://"+clients+"/socket.io/?EIO=4&transport=websocket", "") // as through a proxy that strips Upgrade
	ws, _, err := websocket.Dial(t.Context(), "ws://"+clients+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.CloseNow()
	ask("POST", admin+"/api/clusters/chat/nodes/n2/drain", `{"deadline": "5m"}`)
	for range 20 { // on a path that is no cluster's, often enough to be told
		ask("GET", "http://"+clients+"/other/?EIO=4&transport=polling", "")
	}
}

func read(t *testing.T, url string) series {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	seen := series{}
	for name, f := range families {
		names := []string{"job", "instance"}
		for _, l := range f.Metric[0].Label {
			names = append(names, l.GetName())
		}
		if f.GetType() == dto.MetricType_HISTOGRAM {
			for _, suffix := range []string{"_sum", "_count", "_bucket"} {
				seen[name+suffix] = append(names, "le")
			}
			continue
		}
		seen[name] = names
	}
	return seen
}

// words are those that a page of docs has in code.
var words = regexp.MustCompile("`([a-z0-9_]+)`")

// check finds what an expression asks for that is not there.
func (s series) check(t *testing.T, where, expr string) {
	t.Helper()
	for _, v := range []string{"$__rate_interval", "$__interval"} { // Grafana's
		expr = strings.ReplaceAll(expr, v, "5m")
	}
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %v in\n%s", where, err, expr)
		return
	}
	known := map[string]bool{}
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			names, there := s[v.Name]
			if !there {
				t.Errorf("%s: there is no %s", where, v.Name)
			}
			for _, name := range names {
				known[name] = true
			}
			for _, m := range v.LabelMatchers {
				s.checkMatcher(t, where, v.Name, m)
			}
		}
		return nil
	})
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		var by []string
		switch n := n.(type) {
		case *parser.AggregateExpr:
			by = n.Grouping
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				by = n.VectorMatching.MatchingLabels
			}
		}
		for _, name := range by {
			if !known[name] {
				t.Errorf("%s: no metric here has a label %s in\n%s", where, name, expr)
			}
		}
		return nil
	})
}

// checkMatcher wants the label to be the metric's, and its values to be words that are explained.
func (s series) checkMatcher(t *testing.T, where, metric string, m *labels.Matcher) {
	t.Helper()
	if m.Name == model.MetricNameLabel {
		return
	}
	if !slices.Contains(s[metric], m.Name) {
		t.Errorf("%s: %s has no label %s", where, metric, m.Name)
	}
	if strings.HasPrefix(m.Value, "$") || m.Name == "job" {
		return
	}
	explained := words.FindAllString(text(t, metrics), -1)
	for value := range strings.SplitSeq(m.Value, "|") {
		if !slices.Contains(explained, "`"+value+"`") {
			t.Errorf("%s: %s=%q is nowhere explained", where, m.Name, value)
		}
	}
}

func text(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

type rules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr, For    string
			Labels, Annotations map[string]string
		}
	}
}

func TestAlertsAndDashboardAskForWhatThereIs(t *testing.T) {
	seen := live(t)
	var r rules
	if err := yaml.UnmarshalWithOptions([]byte(text(t, alerts)), &r, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, rule := range r.Groups[0].Rules {
		seen.check(t, rule.Alert, rule.Expr)
		checkWords(t, rule.Alert, rule.Labels["severity"], rule.Annotations)
		if names[rule.Alert] || !strings.Contains(text(t, metrics), "`"+rule.Alert+"`") {
			t.Errorf("%s is there twice, or not in %s", rule.Alert, metrics)
		}
		names[rule.Alert] = true
	}
	d := board(t)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			seen.check(t, p.Title, target.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		seen.check(t, a.Name, a.Expr)
	}
	for _, v := range d.Templating.List {
		if query, isQuery := v.Query.(map[string]any); isQuery {
			of := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(fmt.Sprint(query["query"]))
			if of == nil || !slices.Contains(seen[of[1]], of[2]) {
				t.Errorf("the variable %s asks for %v", v.Name, query["query"])
			}
		}
	}
}

// checkWords wants an alert to say what it is and what to do, with a link to a heading that is there.
func checkWords(t *testing.T, alert, severity string, said map[string]string) {
	t.Helper()
	if !slices.Contains([]string{"critical", "warning", "info"}, severity) || said["summary"] == "" || said["description"] == "" {
		t.Errorf("%s has no severity, summary or description", alert)
	}
	url, ours := strings.CutPrefix(said["runbook_url"], "https://github.com/sidway/sidway/blob/main/docs/")
	page, anchor, _ := strings.Cut(url, "#")
	if !regexp.MustCompile(`^[a-z]+\.md$`).MatchString(page) {
		t.Errorf("%s links to %q, which is no page", alert, said["runbook_url"])
		return
	}
	for _, h := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text(t, "../../docs/"+page), -1) {
		if slug := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(h[1]), ""); strings.ReplaceAll(slug, " ", "-") == anchor && ours {
			return
		}
	}
	t.Errorf("%s links to %q, which is no heading", alert, said["runbook_url"])
}

type grafana struct {
	UID, Title string
	Panels     []struct {
		ID         int
		Type       string
		Title      string
		Datasource struct{ Type, UID string }
		GridPos    struct{ H, W, X, Y int }
		Targets    []struct {
			RefID, Expr string
			Datasource  struct{ Type, UID string }
		}
	}
	Annotations struct{ List []struct{ Name, Expr string } }
	Templating  struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
}

func board(t *testing.T) (d grafana) {
	t.Helper()
	if err := json.Unmarshal([]byte(text(t, dashboard)), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// The dashboard can be imported anywhere: its panels have ids of their own, do not overlap, and ask whichever Prometheus is chosen.
func TestDashboardIsValid(t *testing.T) {
	d, ids, cells := board(t), map[int]bool{}, map[[2]int]string{}
	if d.UID == "" || d.Title == "" || len(d.Panels) < 20 || d.Templating.List[0].Type != "datasource" || d.Templating.List[0].Name != "datasource" {
		t.Errorf("uid %q, title %q, %d panels, variables %v", d.UID, d.Title, len(d.Panels), d.Templating.List)
	}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("the id %d of %q is another's", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if cells[[2]int{x, y}] != "" || x > 23 {
					t.Fatalf("%q lies on %q, or beyond the edge", p.Title, cells[[2]int{x, y}])
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" || p.Datasource.UID != "${datasource}" || refs[target.RefID] || target.Expr == "" {
				t.Errorf("%q: a target of another datasource, or with no name of its own", p.Title)
			}
			refs[target.RefID] = true
		}
		if len(refs) == 0 {
			t.Errorf("%q shows nothing", p.Title)
		}
	}
}
