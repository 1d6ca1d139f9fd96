package trace_test

import (
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/trace"
)

var (
	// known is a traceparent of the version that there is, with the flags that there are (W3C Trace Context, 3.2).
	known = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[0-3])$`)
	zero  = regexp.MustCompile(`^0+$`)
	// unfit is what may not be in a tracestate (W3C Trace Context, 3.3.1).
	unfit = regexp.MustCompile(`[^ -~]`)
)

// FuzzParent holds that whatever a client says of its trace, the node is told of a trace as W3C has it: the client's, in a span of its own,
// with the client's decision, where the client's is one that is valid, and else a new one.
func FuzzParent(f *testing.F) {
	const id, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for _, parent := range []string{
		"00-" + id + "-" + span + "-01", "00-" + id + "-" + span + "-00", "00-" + id + "-" + span + "-ff", "00-" + id + "-" + span + "-03", "ff-" + id + "-" + span + "-01",
		"01-" + id + "-" + span + "-01-more", "00-" + strings.Repeat("0", 32) + "-" + span + "-01", "00-" + strings.ToUpper(id) + "-" + span + "-01", "", "00---",
	} {
		f.Add(parent, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")
		f.Add(parent, "a=b\xe4,c")
		f.Add(parent, strings.Repeat("k=v,", 40))
	}
	tracer, err := trace.New(trace.Options{Endpoint: "http://127.0.0.1:9", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { tracer.Close(f.Context()) })
	f.Fuzz(func(t *testing.T, parent, state string) {
		s := tracer.Request("poll", trace.Parent{Traceparent: parent, Tracestate: state}, time.Now()) // which does not end, so that nothing is sent
		ours := s.Parent()
		got := known.FindStringSubmatch(ours.Traceparent)
		if got == nil || zero.MatchString(got[1]) || zero.MatchString(got[2]) || unfit.MatchString(ours.Tracestate) {
			t.Fatalf("%+v is no trace", ours)
		}
		theirs := known.FindStringSubmatch(parent)
		if theirs != nil && (zero.MatchString(theirs[1]) || zero.MatchString(theirs[2])) {
			theirs = nil
		}
		switch {
		case theirs != nil && (got[1] != theirs[1] || got[2] == theirs[2] || sampled(got) != sampled(theirs)):
			t.Fatalf("%q became %q", parent, ours.Traceparent)
		case theirs == nil && !strings.Contains(parent, got[1]) && (sampled(got) || ours.Tracestate != ""):
			t.Fatalf("a new trace is %+v", ours)
		}
		for member := range strings.SplitSeq(ours.Tracestate, ",") {
			if !strings.Contains(state, strings.TrimSpace(member)) {
				t.Fatalf("%q is not of %q", ours.Tracestate, state)
			}
		}
	})
}

// sampled reports whether a traceparent says that the trace is recorded.
func sampled(parts []string) bool { return parts[3] == "01" || parts[3] == "03" }
