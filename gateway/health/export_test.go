package health

import "context"

// ParseWords returns what parseWords makes of text.
func ParseWords(text string) (drain bool, weight float64) {
	w := parseWords(text)
	return w.drain, w.weight
}

// MaxInFlight is maxInFlight.
const MaxInFlight = maxInFlight

// Found is what one probe finds.
type Found struct {
	Outcome Outcome
	Reason  string
	Drain   bool
	Weight  float64
}

// Find probes once.
func (p *Prober) Find(ctx context.Context, s Settings, n Node) Found {
	f := p.find(ctx, s, n)
	return Found{f.outcome, f.reason, f.says.drain, f.says.weight}
}
