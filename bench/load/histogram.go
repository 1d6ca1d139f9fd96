package load

import (
	"math"
	"math/bits"
)

// subBits is the precision: 128 steps from each power of two to the next.
const (
	subBits = 7
	steps   = 1 << subBits
)

// Histogram counts durations in nanoseconds, each to within 1 %. The zero value is empty.
type Histogram struct {
	counts [(64 - subBits) * steps]int64
	n      int64
	max    int64
}

// Record counts v; below 0 is 0.
func (h *Histogram) Record(v int64) {
	v = max(v, 0)
	h.counts[bucket(v)]++
	h.n++
	h.max = max(h.max, v)
}

// Quantile returns the least recorded value, rounded up by less than 1 %, that a share q of the values does not exceed.
func (h *Histogram) Quantile(q float64) int64 {
	rank := max(int64(math.Ceil(q*float64(h.n))), 1)
	for i, count := range h.counts {
		if rank -= count; rank <= 0 {
			return min(last(i), h.max)
		}
	}
	return 0
}

// Quantiles returns those that a Result has.
func (h *Histogram) Quantiles() Quantiles {
	us := func(ns int64) float64 { return float64(ns) / 1000 }
	return Quantiles{
		P50:  us(h.Quantile(0.5)),
		P90:  us(h.Quantile(0.9)),
		P99:  us(h.Quantile(0.99)),
		P999: us(h.Quantile(0.999)),
		Max:  us(h.max),
	}
}

// bucket returns the place of v: values below steps have one each, further ones share it with those that have the same
// leading bits.
func bucket(v int64) int {
	if v < steps {
		return int(v)
	}
	shift := bits.Len64(uint64(v)) - subBits - 1
	return shift*steps + int(v>>shift)
}

// last returns the greatest value of bucket i.
func last(i int) int64 {
	if i < 2*steps {
		return int64(i)
	}
	shift := i/steps - 1
	return int64(i%steps+steps+1)<<shift - 1
}
