// Package trace makes traces of requests, by OpenTelemetry, and sends them by OTLP over HTTP.
//
//	t, err := trace.New(trace.Options{Endpoint: "http://127.0.0.1:4318", Sample: 0.01, Log: log})
//	…
//	s := t.Request("poll", trace.Parent{Traceparent: theirs}, time.Now())
//	c := s.Child("forward", true)
//	ours := c.Parent().Traceparent
//	c.End()
//	s.End()
//	…
//	t.Close(ctx)
//
// A nil Tracer makes nil Spans, and a nil Span does nothing, so that nobody has to ask whether there are traces, and none of it costs
// anything where there are not. Nothing here waits for the collector: spans that it does not take are dropped.
//
// The SDK's own variables hold too, as OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_BSP_* and OTEL_SPAN_*, and of the exporter's
// OTEL_EXPORTER_OTLP_HEADERS and OTEL_EXPORTER_OTLP_TRACES_HEADERS.
package trace

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"

	"github.com/sidway/sidway/gateway/notice"
)

// Options are what a Tracer is made of.
type Options struct {
	Endpoint string  // the collector's URL; without a path, /v1/traces of it
	Sample   float64 // the share of traces that are begun here and recorded, 0 to 1; what came with a trace follows that
	Name     string  // of this replica
	Version  string
	Log      *slog.Logger // is told when spans cannot be sent
}

// Tracer makes spans. Its methods may be called concurrently, and on nil.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   api.Tracer
	failed   func(error)
}

// New returns a Tracer. Close ends it. It connects to nothing.
func New(o Options) (*Tracer, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("trace.endpoint: %w", err)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	what, err := resource.New(context.Background(), resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "sidway"), attribute.String("service.version", o.Version), attribute.String("service.instance.id", o.Name),
	), resource.WithFromEnv())
	if err != nil {
		o.Log.Warn("OTEL_RESOURCE_ATTRIBUTES cannot be read", "error", err)
	}
	told := notice.Limiter[string]{Pause: time.Minute}
	failed := func(err error) {
		if told.Due("") {
			o.Log.Warn("traces cannot be sent, their spans are lost", "error", err)
		}
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(failed))
	p := sdk.NewTracerProvider(sdk.WithBatcher(newExporter(u.String(), o.Version)), sdk.WithResource(what),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(o.Sample))))
	return &Tracer{p, p.Tracer("github.com/sidway/sidway"), failed}, nil
}

// Close sends what is left, until ctx is done. Spans that end later are dropped.
func (t *Tracer) Close(ctx context.Context) {
	if t == nil {
		return
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		t.failed(err)
	}
}

// Parent is what a request says of the trace that it belongs to (W3C Trace Context).
type Parent struct{ Traceparent, Tracestate string }

// Get implements propagation.TextMapCarrier.
func (p *Parent) Get(key string) string {
	switch key {
	case "traceparent":
		return p.Traceparent
	case "tracestate":
		return p.Tracestate
	}
	return ""
}

// Set implements propagation.TextMapCarrier.
func (p *Parent) Set(key, value string) {
	if key == "traceparent" {
		p.Traceparent = value
	} else {
		p.Tracestate = value
	}
}

// Keys implements propagation.TextMapCarrier.
func (p *Parent) Keys() []string { return []string{"traceparent", "tracestate"} }

// Span is a part of a trace. It is for one goroutine at a time, and its methods may be called on nil.
type Span struct {
	tracer *Tracer
	ctx    context.Context // which OpenTelemetry hands on its spans by
	span   api.Span
}

// Request begins the span of a request that has come, then.
func (t *Tracer) Request(name string, p Parent, began time.Time) *Span {
	if t == nil {
		return nil
	}
	p.Traceparent, p.Tracestate = strings.Clone(p.Traceparent), strings.Clone(p.Tracestate)
	ctx := propagation.TraceContext{}.Extract(context.Background(), &p)
	return t.begin(ctx, name, api.WithSpanKind(api.SpanKindServer), api.WithTimestamp(began))
}

func (t *Tracer) begin(ctx context.Context, name string, o ...api.SpanStartOption) *Span {
	ctx, span := t.tracer.Start(ctx, name, o...)
	return &Span{t, ctx, span}
}

// Child begins a part of s: one that somebody else is asked for, if asks, who may be told its Parent.
func (s *Span) Child(name string, asks bool) *Span {
	if s == nil {
		return nil
	}
	kind := api.SpanKindInternal
	if asks {
		kind = api.SpanKindClient
	}
	return s.tracer.begin(s.ctx, name, api.WithSpanKind(kind))
}

// Parent returns what whoever is asked is told of the trace, the zero value for nil.
func (s *Span) Parent() (p Parent) {
	if s != nil {
		propagation.TraceContext{}.Inject(s.ctx, &p)
	}
	return p
}

// ID returns the id of the trace if it is recorded, else "".
func (s *Span) ID() string {
	if s == nil || !s.span.IsRecording() {
		return ""
	}
	return s.span.SpanContext().TraceID().String()
}

// Records reports whether what s is told is of any use.
func (s *Span) Records() bool { return s != nil && s.span.IsRecording() }

// Text notes a fact, of which it makes a copy. An empty one is none.
func (s *Span) Text(key, value string) {
	if s.Records() && value != "" {
		s.span.SetAttributes(attribute.String(key, strings.Clone(value)))
	}
}

// Number notes a fact.
func (s *Span) Number(key string, value int) {
	if s.Records() {
		s.span.SetAttributes(attribute.Int(key, value))
	}
}

// Fail notes that it went wrong, and how. An empty why is none.
func (s *Span) Fail(why string) {
	if s.Records() && why != "" {
		s.span.SetStatus(codes.Error, strings.Clone(why))
	}
}

// End ends the span, once.
func (s *Span) End() {
	if s != nil {
		s.span.End()
	}
}
