package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/nodename"
)

// whole parses a whole number between low and high.
func whole(low, high int) func(string) (int, error) {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		// A sign or a leading zero (octal to some readers of YAML) leaves doubt about what is meant.
		if err != nil || n < low || n > high || strconv.Itoa(n) != text {
			return 0, fmt.Errorf("%s is not a whole number from %d to %d", quote(text), low, high)
		}
		return n, nil
	}
}

func parseWeight(text string) (int, error) {
	n, err := whole(1, 1000)(text)
	if err != nil {
		return 0, fmt.Errorf("%w; a weight says how many sessions a node takes beside the others, 1 is the default", err)
	}
	return n, nil
}

// between parses a duration between low and high.
func between(low, high time.Duration) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		switch {
		case err != nil && isDigits(text):
			return 0, fmt.Errorf("%s has no unit; write %ss or %sms", quote(text), text, text)
		case err != nil:
			return 0, fmt.Errorf("%s is not a duration; write it as 500ms, 5s or 1m30s", quote(text))
		case d < low || d > high:
			return 0, fmt.Errorf("%s is out of range; write a duration from %s to %s", text, short(low), short(high))
		}
		return d, nil
	}
}

// orNothing lets 0 stand beside what parse takes.
func orNothing(parse func(string) (time.Duration, error)) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		if d, err := time.ParseDuration(text); err == nil && d == 0 {
			return 0, nil
		}
		return parse(text)
	}
}

// short is a duration as a person writes it: 1h, not 1h0m0s.
func short(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d%time.Minute == 0:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	}
	return d.String()
}

func parseBool(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%s is neither true nor false", quote(text))
}

// not parses the opposite of what a setting holds.
func not(parse func(string) (bool, error)) func(string) (bool, error) {
	return func(text string) (bool, error) {
		v, err := parse(text)
		return !v, err
	}
}

// oneOf parses a word of a closed set.
func oneOf[S ~string](words ...S) func(string) (S, error) {
	return func(text string) (S, error) {
		if slices.Contains(words, S(text)) {
			return S(text), nil
		}
		var names []string
		for _, w := range words {
			names = append(names, string(w))
		}
		if near := Nearest(text, names); near != "" {
			return "", fmt.Errorf("%s is unknown; did you mean %s?", quote(text), near)
		}
		return "", fmt.Errorf("%s is unknown; write one of %s", quote(text), strings.Join(names, ", "))
	}
}

var units = []struct {
	name string
	size int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}}

// parseSize parses a number of bytes up to a terabyte.
func parseSize(text string) (int64, error) {
	const most = 1e12
	number, size := text, int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(text, u.name); ok {
			number, size = strings.TrimSpace(n), u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || !isDigits(number) {
		return 0, fmt.Errorf("%s is not a number of bytes; write it as 1000000, 1MB or 1MiB", quote(text))
	}
	if n > most/size {
		return 0, fmt.Errorf("%s is more than a terabyte", text)
	}
	return n * size, nil
}

func proxiesOf(c *Config) *[]netip.Prefix { return &c.TrustedProxies }

// parsePrefixes parses one network, or an address that stands for itself.
func parsePrefixes(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%s is neither an address nor a network; write it as 10.0.0.7 or 10.0.0.0/8", quote(text))
	}
	if p != p.Masked() {
		return p, fmt.Errorf("%s has bits set behind its mask; write %s for the network, or %s for the one address", text, p.Masked(), p.Addr())
	}
	return p, nil
}

// parseName parses the name of a cluster or node. It ends up in keys, labels and logs, hence the narrow set.
func parseName(text string) (string, error) {
	if len(text) > 64 || !nodename.Valid(text) {
		return "", fmt.Errorf("%s is no name; write up to 64 letters, digits, dots, dashes and underscores, the first a letter or digit", quote(text))
	}
	return text, nil
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// quote shows a value in a message, cut where it is long.
func quote(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	return strconv.Quote(s)
}
