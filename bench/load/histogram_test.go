package load_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sidway/sidway/bench/load"
)

func TestQuantilesAreWithinOnePercent(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, spread := range []int64{100, 10_000, 1e6, 1e12, 1<<63 - 1} {
		var h load.Histogram
		var values []int64
		for range 20_000 {
			v := random.Int64N(random.Int64N(spread) + 1)
			values = append(values, v)
			h.Record(v)
		}
		slices.Sort(values)
		for _, q := range []float64{0.0001, 0.5, 0.9, 0.99, 0.999, 1} {
			want := values[max(int(q*float64(len(values))), 1)-1]
			if got := h.Quantile(q); got < want || float64(got-want) > 0.01*float64(want) {
				t.Errorf("below %d, %v: %d instead of %d", spread, q, got, want)
			}
		}
	}
}

func TestQuantilesOfFewValues(t *testing.T) {
	var h load.Histogram
	if got := h.Quantiles(); got != (load.Quantiles{}) {
		t.Errorf("nothing: %+v", got)
	}
	h.Record(-5)
	if got := h.Quantiles(); got != (load.Quantiles{}) {
		t.Errorf("below 0: %+v", got)
	}
	h.Record(1_234_567)
	h.Record(1_234_567)
	if got := h.Quantiles(); got != (load.Quantiles{P50: 1234.567, P90: 1234.567, P99: 1234.567, P999: 1234.567, Max: 1234.567}) {
		t.Errorf("one value: %+v", got)
	}
}
