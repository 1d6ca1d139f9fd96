package metricstest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	v1 "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/replica"
)

// receiver is a collector: it takes OTLP by OpenTelemetry's own types.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	spans    []*otlp.Span
	resource map[string]string
	headers  http.Header
	refusals int // to come
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		var got collector.ExportTraceServiceRequest
		err := proto.UnmarshalOptions{DiscardUnknown: false}.Unmarshal(body, &got)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.refusals > 0 {
			r.refusals--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if err != nil || q.URL.Path != "/v1/traces" || q.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %s: %v", q.URL, q.Header, err)
		}
		r.headers = q.Header
		for _, rs := range got.ResourceSpans {
			if len(rs.ProtoReflect().GetUnknown())+len(rs.Resource.ProtoReflect().GetUnknown()) > 0 {
				t.Error("fields that OTLP does not have")
			}
			r.resource = facts(rs.Resource.Attributes)
			for _, ss := range rs.ScopeSpans {
				r.spans = append(r.spans, ss.Spans...)
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func facts(all []*v1.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range all {
		switch v := a.Value.Value.(type) {
		case *v1.AnyValue_IntValue:
			m[a.Key] = fmt.Sprint(v.IntValue)
		case *v1.AnyValue_StringValue:
			m[a.Key] = v.StringValue
		}
	}
	return m
}

// named returns the spans of a trace by their names.
func (r *receiver) named(trace string) map[string]*otlp.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := map[string]*otlp.Span{}
	for _, s := range r.spans {
		if fmt.Sprintf("%x", s.TraceId) == trace {
			m[s.Name] = s
		}
	}
	return m
}

// node is a node that writes down what it is told of traces.
type node struct {
	*httptest.Server
	mu   sync.Mutex
	told map[string][2]string // by the query's t
}

func startNode(t *testing.T) *node {
	n := &node{told: map[string][2]string{}}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		n.mu.Lock()
		n.told[q.FormValue("t")] = [2]string{strings.Join(q.Header["Traceparent"], "|"), strings.Join(q.Header["Tracestate"], "|")}
		n.mu.Unlock()
		switch {
		case q.FormValue("sid") == "":
			io.WriteString(w, `0{"sid":"traced1234567890","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000}`)
		case q.Method == http.MethodPost:
			panic(http.ErrAbortHandler)
		default:
			io.WriteString(w, "6")
		}
	}))
	t.Cleanup(n.Close)
	return n
}

func (n *node) got(t string) (traceparent, tracestate string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.told[t][0], n.told[t][1]
}

type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// serve runs a replica in front of n until stop is called, and reload has it trace otherwise.
func serve(t *testing.T, n *node, o config.Trace, out io.Writer) (url string, reload func(config.Trace), stop func()) {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.Admin.Listen, cfg.Runtime.BusyLoops, cfg.Trace, cfg.AccessLog = []config.Listener{{Address: "127.0.0.1:0"}}, "off", false, o, true
	cfg.Shutdown = config.Shutdown{Waves: 1}
	cfg.Affinity.Redis = affinitytest.StartRedis(t).URL()
	cfg.Clusters = []config.Cluster{{
		Name: "chat", Path: "/socket.io/", Balance: config.LeastSessions, Nodes: []config.Node{{Name: "n1", URL: n.URL, Weight: 1}},
	}}
	r, err := replica.New(cfg, slog.New(slog.NewTextHandler(out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	r.Version = "v9"
	next := o
	r.Load = func() (*config.Config, error) {
		c := *cfg
		c.Trace = next
		return &c, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	reload = func(o config.Trace) {
		next = o
		if err := r.Reload("a test"); err != nil {
			t.Error(err)
		}
	}
	return "http://" + r.Addrs()[0].String() + "/socket.io/?EIO=4&transport=polling", reload, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func ask(t *testing.T, method, url string, headers ...string) int {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		q.Header[headers[i]] = append(q.Header[headers[i]], headers[i+1])
	}
	if method == http.MethodPost {
		q.Body, q.ContentLength = io.NopCloser(strings.NewReader("4x")), 2
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

const (
	aTrace   = "4bf92f3577b34da6a3ce929d0e0e4736"
	bTrace   = "4bf92f3577b34da6a3ce929d0e0e4737"
	sampled  = "00-" + aTrace + "-00f067aa0ba902b7-01"
	sampledB = "00-" + bTrace + "-00f067aa0ba902b7-01"
	ignored  = "00-" + aTrace + "-00f067aa0ba902b8-00"
)

// TestTraces follows requests from the client's trace through the store and the node, by what a collector is told.
func TestTraces(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20secret,other=1")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	c, n, out := startReceiver(t), startNode(t), new(log)
	c.refusals = 1
	url, _, stop := serve(t, n, config.Trace{Endpoint: c.URL, Sample: 0}, out)
	affinitytest.Eventually(t, "a session", func() bool { return ask(t, "GET", url+"&t=a", "Traceparent", sampled, "Tracestate", "v=1") == 200 })
	ask(t, "GET", url+"&t=b&sid=unknown1234567890", "Traceparent", sampledB)
	ask(t, "GET", url+"&t=c&sid=traced1234567890", "Traceparent", ignored)
	ask(t, "GET", url+"&t=d&sid=traced1234567890", "Traceparent", "nonsense", "Tracestate", "v=1")
	ask(t, "GET", url+"&t=e&sid=traced1234567890", "Traceparent", sampled, "Traceparent", ignored)
	post := "00-" + aTrace[:31] + "0-00f067aa0ba902b7-01"
	ask(t, "POST", url+"&t=f&sid=traced1234567890", "Traceparent", post)
	stop()

	a, b := c.named(aTrace), c.named(bTrace)
	h, f, bind := a["handshake"], a["forward"], a["bind"]
	if h == nil || f == nil || bind == nil || b["poll"] == nil || b["look-up"] == nil {
		t.Fatalf("spans are %v and %v", a, b)
	}
	if got := facts(h.Attributes); h.Kind != otlp.Span_SPAN_KIND_SERVER || fmt.Sprintf("%x", h.ParentSpanId) != "00f067aa0ba902b7" || h.TraceState != "v=1" ||
		got["http.request.method"] != "GET" || got["url.path"] != "/socket.io/" || got["sidway.cluster"] != "chat" || got["sidway.node"] != "n1" ||
		got["http.response.status_code"] != "200" || got["sidway.sid"] != "trac…" || got["client.address"] != "127.0.0.1" || h.Flags != 1|1<<8|1<<9 {
		t.Errorf("the handshake is %v", h)
	}
	if f.Kind != otlp.Span_SPAN_KIND_CLIENT || !bytes.Equal(f.ParentSpanId, h.SpanId) || f.StartTimeUnixNano < h.StartTimeUnixNano ||
		f.EndTimeUnixNano > h.EndTimeUnixNano || f.EndTimeUnixNano <= f.StartTimeUnixNano || !bytes.Equal(bind.ParentSpanId, h.SpanId) {
		t.Errorf("forward is %v", f)
	}
	if b["look-up"].Status.GetCode() != otlp.Status_STATUS_CODE_ERROR || facts(b["poll"].Attributes)["error.type"] != "sid_unknown" {
		t.Errorf("the look-up is %v, the poll %v", b["look-up"], b["poll"])
	}
	if f := c.named(aTrace[:31] + "0")["forward"]; f == nil || f.Status.GetCode() != otlp.Status_STATUS_CODE_ERROR || f.Status.Message == "" || strings.Contains(f.Status.Message, "client") {
		t.Errorf("a forward that is cut is %v", f)
	}
	for id, want := range map[string][2]string{
		"a": {"00-" + aTrace + "-" + fmt.Sprintf("%x", f.SpanId) + "-01", "v=1"},
		"c": {"00-" + aTrace + "-00f067aa0ba902b8-00", ""}, "d": {"00-", ""}, "e": {"00-", ""},
	} {
		parent, state := n.got(id)
		ok := parent == want[0]
		if id != "a" { // of what is not recorded the id of the span may be any
			ok = len(parent) == len(sampled) && strings.HasSuffix(parent, "-00") && (id != "c") == !strings.Contains(parent, aTrace)
		}
		if !ok || state != want[1] {
			t.Errorf("for %s the node is told %q and %q, want %q", id, parent, state, want)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.resource["service.name"] != "sidway" || c.resource["service.version"] != "v9" || c.resource["service.instance.id"] == "" ||
		c.resource["deployment.environment"] != "test" || c.headers.Get("api-key") != "a secret" || c.headers.Get("other") != "1" {
		t.Errorf("the resource is %v, the headers are %v", c.resource, c.headers)
	}
	if !strings.Contains(out.String(), "trace_id="+aTrace) {
		t.Error("the access log does not tell of the trace")
	}
}

// TestTracesWithoutACollector: nobody waits for one that is not there, and the log says so.
func TestTracesWithoutACollector(t *testing.T) {
	c, n, out := startReceiver(t), startNode(t), new(log)
	c.Close()
	url, _, stop := serve(t, n, config.Trace{Endpoint: c.URL, Sample: 1}, out)
	affinitytest.Eventually(t, "a session", func() bool { return ask(t, "GET", url+"&t=a") == 200 })
	if parent, _ := n.got("a"); !strings.HasSuffix(parent, "-01") {
		t.Errorf("a trace that is begun here is %q", parent)
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > 20*time.Second || strings.Count(out.String(), "traces cannot be sent") != 1 {
		t.Errorf("ended after %v, and logged %s", took, out.String())
	}
}

// TestNoTraces: without them a node is told what the client says. They come and go with the settings.
func TestNoTraces(t *testing.T) {
	n := startNode(t)
	c := startReceiver(t)
	url, reload, stop := serve(t, n, config.Trace{Sample: 1}, io.Discard)
	defer stop()
	affinitytest.Eventually(t, "a session", func() bool { return ask(t, "GET", url+"&t=a", "Traceparent", "nonsense", "Tracestate", "v=1") == 200 })
	if parent, state := n.got("a"); parent != "nonsense" || state != "v=1" {
		t.Errorf("the node is told %q and %q", parent, state)
	}
	reload(config.Trace{Endpoint: c.URL, Sample: 1})
	ask(t, "GET", url+"&t=b&sid=traced1234567890")
	reload(config.Trace{})
	ask(t, "GET", url+"&t=c&sid=traced1234567890")
	traced, _ := n.got("b")
	if untraced, _ := n.got("c"); !strings.HasSuffix(traced, "-01") || untraced != "" || c.named(strings.Split(traced+"--", "-")[1])["poll"] == nil {
		t.Errorf("with traces a node is told %q, and %q after them", traced, untraced)
	}
}
