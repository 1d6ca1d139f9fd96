package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// sendTime is how long a collector may take to accept spans.
const sendTime = 10 * time.Second

// mostTries is how often it is asked, with a second between them, where it says that it cannot now.
const mostTries = 3

// exporter sends spans as OTLP over HTTP has it (opentelemetry-proto, collector/trace/v1). It is no package of OpenTelemetry's because
// that one brings gRPC along, which makes the program larger by two thirds.
type exporter struct {
	url     string
	headers http.Header
	client  http.Client
}

func newExporter(to, version string) *exporter {
	e := &exporter{url: to, headers: http.Header{}, client: http.Client{Timeout: sendTime}}
	e.headers.Set("User-Agent", "sidway/"+strings.ReplaceAll(version, " ", "-"))
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		for pair := range strings.SplitSeq(os.Getenv(name), ",") {
			if key, value, ok := strings.Cut(pair, "="); ok {
				if plain, err := url.PathUnescape(strings.TrimSpace(value)); err == nil {
					value = plain
				}
				e.headers.Set(strings.TrimSpace(key), value)
			}
		}
	}
	e.headers.Set("Content-Type", "application/x-protobuf")
	return e
}

// ExportSpans implements sdk.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	body := appendSpans(nil, spans)
	var err error
	for try := range mostTries {
		if try > 0 {
			select {
			case <-ctx.Done():
				return err
			case <-time.After(time.Second):
			}
		}
		var again bool
		if again, err = e.send(ctx, body); !again {
			break
		}
	}
	return err
}

// send reports whether it is of use to send the same again.
func (e *exporter) send(ctx context.Context, body []byte) (again bool, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	q.Header = e.headers
	res, err := e.client.Do(q)
	if err != nil {
		return ctx.Err() == nil, errors.Unwrap(err) // without the URL, which may hold a secret
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is used again
	if res.StatusCode/100 == 2 {
		return false, nil
	}
	again = res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= http.StatusBadGateway
	return again, fmt.Errorf("the collector answers %s", res.Status)
}

// Shutdown implements sdk.SpanExporter.
func (e *exporter) Shutdown(context.Context) error {
	e.client.CloseIdleConnections()
	return nil
}

// What follows writes opentelemetry/proto/collector/trace/v1/trace_service.proto and trace/v1/trace.proto, by their numbers of fields.

// appendSpans writes an ExportTraceServiceRequest. All spans are of one resource and one scope.
func appendSpans(b []byte, spans []sdk.ReadOnlySpan) []byte {
	if len(spans) == 0 {
		return b
	}
	return message(b, 1, func(b []byte) []byte { // ResourceSpans
		b = message(b, 1, func(b []byte) []byte { return attributes(b, 1, spans[0].Resource().Attributes()) })
		return message(b, 2, func(b []byte) []byte { // ScopeSpans
			b = message(b, 1, func(b []byte) []byte { return text(b, 1, spans[0].InstrumentationScope().Name) })
			for _, s := range spans {
				b = message(b, 2, func(b []byte) []byte { return appendSpan(b, s) })
			}
			return b
		})
	})
}

func appendSpan(b []byte, s sdk.ReadOnlySpan) []byte {
	trace, id, parent := s.SpanContext().TraceID(), s.SpanContext().SpanID(), s.Parent().SpanID()
	b = bytesField(b, 1, trace[:])
	b = bytesField(b, 2, id[:])
	b = text(b, 3, s.SpanContext().TraceState().String())
	flags := uint32(s.SpanContext().TraceFlags()) | 1<<8 // that it is known whether the parent is remote
	if s.Parent().IsValid() {
		b = bytesField(b, 4, parent[:])
	}
	if s.Parent().IsRemote() {
		flags |= 1 << 9
	}
	b = text(b, 5, s.Name())
	b = number(b, 6, uint64(s.SpanKind())) // which has the same numbers
	b = fixed64(b, 7, uint64(s.StartTime().UnixNano()))
	b = fixed64(b, 8, uint64(s.EndTime().UnixNano()))
	b = attributes(b, 9, s.Attributes())
	if st := s.Status(); st.Code != 0 {
		b = message(b, 15, func(b []byte) []byte { return number(text(b, 2, st.Description), 3, otlpStatus(uint64(st.Code))) })
	}
	b = protowire.AppendTag(b, 16, protowire.Fixed32Type)
	return protowire.AppendFixed32(b, flags)
}

// otlpStatus is a status of OpenTelemetry's in OTLP, which has Ok and Error the other way round.
func otlpStatus(code uint64) uint64 { return 3 - code }

func attributes(b []byte, field protowire.Number, all []attribute.KeyValue) []byte {
	for _, a := range all {
		b = message(b, field, func(b []byte) []byte {
			b = text(b, 1, string(a.Key))
			return message(b, 2, func(b []byte) []byte { // AnyValue
				if a.Value.Type() == attribute.INT64 {
					return number(b, 3, uint64(a.Value.AsInt64()))
				}
				return text(b, 1, a.Value.String())
			})
		})
	}
	return b
}

// message writes a field with what fill appends.
func message(b []byte, field protowire.Number, fill func([]byte) []byte) []byte {
	return bytesField(b, field, fill(nil))
}

func bytesField(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func text(b []byte, field protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func number(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func fixed64(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), v)
}
