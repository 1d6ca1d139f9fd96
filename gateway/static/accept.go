package static

import (
	"strconv"
	"strings"
)

// coding is a content coding and how the names of its files end.
type coding struct{ name, extension string }

// The codings, the densest first.
var (
	brotli = coding{"br", ".br"}
	gzip   = coding{"gzip", ".gz"}
)

// acceptable returns the codings that an Accept-Encoding allows and likes no less than none at all, the best first (RFC 9110,
// 12.5.3).
func acceptable(accepts string) []coding {
	if accepts == "" {
		return nil
	}
	least, named := weight(accepts, "identity")
	if !named {
		least = 0
	}
	b, _ := weight(accepts, brotli.name)
	g, _ := weight(accepts, gzip.name)
	b0, g0 := b > 0 && b >= least, g > 0 && g >= least
	switch {
	case b0 && g0 && g > b:
		return []coding{gzip, brotli}
	case b0 && g0:
		return []coding{brotli, gzip}
	case b0:
		return []coding{brotli}
	case g0:
		return []coding{gzip}
	}
	return nil
}

// weight returns what an Accept-Encoding says of a coding: by its name, else by an asterisk, else 0. It reports whether the
// name is there. What is no weight counts as 0: the client gets what any client understands.
func weight(accepts, name string) (q float64, named bool) {
	for e := range strings.SplitSeq(accepts, ",") {
		token, params, _ := strings.Cut(e, ";")
		token = strings.TrimSpace(token)
		if strings.EqualFold(token, name) {
			return parseWeight(params), true
		}
		if token == "*" {
			q = parseWeight(params)
		}
	}
	return q, false
}

// parseWeight reads the parameters behind a coding.
func parseWeight(params string) float64 {
	params = strings.TrimSpace(params)
	if params == "" {
		return 1
	}
	key, value, _ := strings.Cut(params, "=")
	if !strings.EqualFold(strings.TrimSpace(key), "q") {
		return 0
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || q < 0 || q > 1 {
		return 0
	}
	return q
}
