package replica

import (
	"context"
	"time"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/trace"
)

// traceTime is how long the last spans of a tracer may take to be sent.
const traceTime = 2 * time.Second

// setTrace has traces follow the configuration, which said this before.
func (r *Replica) setTrace(before config.Trace) {
	now := r.cfg.Load().Trace
	if now == before || now.Endpoint == "" && before.Endpoint == "" {
		return
	}
	var next *trace.Tracer
	if now.Endpoint != "" {
		var err error
		if next, err = trace.New(trace.Options{Endpoint: now.Endpoint, Sample: now.Sample, Name: r.name(), Version: r.Version, Log: r.log}); err != nil {
			r.log.Error("there are no traces", "error", err)
		}
	}
	old := r.tracer.Swap(next)
	r.updateGateway()
	closeTracer(old)
}

func closeTracer(t *trace.Tracer) {
	ctx, cancel := context.WithTimeout(context.Background(), traceTime)
	defer cancel()
	t.Close(ctx)
}
