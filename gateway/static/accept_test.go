package static_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/static"
)

// FuzzAccept holds acceptable against a plain reading of RFC 9110, 12.5.3, where a client names nothing twice.
func FuzzAccept(f *testing.F) {
	for _, s := range []string{
		"", "gzip, deflate, br", "br;q=0.5, gzip", "*", "*;q=0, gzip;q=0.1", "identity;q=0.5, br;q=0.4, *", "br;Q=1.0 , gzip ; q = .5", "gzip;q=nan, br;q=0x1p-2",
		"br;q=1;x=y", "x", ",,br", "gzip;q=-0", "br;q=1.001, gzip;q=1e-3",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, accepts string) {
		got := static.Acceptable(accepts)
		weights, once := plainWeights(accepts)
		if !once {
			return
		}
		weight := func(name string, otherwise float64) float64 {
			if q, named := weights[name]; named {
				return q
			}
			return otherwise
		}
		least, star := weight("identity", 0), weight("*", 0)
		var want []string
		for _, name := range []string{"br", "gzip"} {
			if q := weight(name, star); q > 0 && q >= least {
				want = append(want, name)
			}
		}
		if len(want) == 2 && weight("gzip", star) > weight("br", star) {
			slices.Reverse(want)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", accepts, got, want)
		}
	})
}

// plainWeights are what is said of codings, in lower case, and whether each is named once.
func plainWeights(accepts string) (weights map[string]float64, once bool) {
	weights, once = map[string]float64{}, true
	for _, e := range strings.Split(accepts, ",") {
		parts := strings.SplitN(e, ";", 2)
		name, q := strings.ToLower(strings.TrimSpace(parts[0])), 1.0
		if len(parts) == 2 && strings.TrimSpace(parts[1]) != "" {
			key, value, _ := strings.Cut(parts[1], "=")
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if q = 0; err == nil && n >= 0 && n <= 1 && strings.ToLower(strings.TrimSpace(key)) == "q" {
				q = n
			}
		}
		_, twice := weights[name]
		once = once && !twice
		weights[name] = q
	}
	return weights, once
}
