package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

var decimal = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?$`)

// parseRate parses a number of events, and returns it per second.
func parseRate(text string) (float64, error) {
	number, per, _ := strings.Cut(text, "/")
	seconds := map[string]float64{"s": 1, "m": 60}[strings.TrimSpace(per)]
	if per == "" && !strings.HasSuffix(text, "/") {
		seconds = 1
	}
	number = strings.TrimSpace(number)
	if !decimal.MatchString(number) || seconds == 0 {
		return 0, fmt.Errorf("%s is not a rate; write it as 200/s or 12000/m, or 0 for no limit", quote(text))
	}
	n, err := strconv.ParseFloat(number, 64)
	if n /= seconds; err != nil || n > 1_000_000 || n > 0 && n*60 < 1 {
		return 0, fmt.Errorf("%s is out of range; write a rate from 1/m to 1000000/s, or 0 for no limit", quote(text))
	}
	return n, nil
}

// shownRate is for the effective settings. zero says what 0 means.
func shownRate(rate float64, zero string) string {
	if rate == 0 {
		return "0: " + zero
	}
	return strconv.FormatFloat(rate, 'g', 6, 64) + "/s"
}

// parseShare parses a share of all. A bare 1 is refused: one per cent and all are too far apart to guess.
func parseShare(text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	number = strings.TrimSpace(number)
	n, err := strconv.ParseFloat(number, 64)
	switch {
	case err != nil || !decimal.MatchString(number):
		return 0, fmt.Errorf("%s is not a share; write it as 10%% or 0.1", quote(text))
	case percent && n <= 100:
		return n / 100, nil
	case percent:
		return 0, fmt.Errorf("%s is more than all; write at most 100%%", text)
	case number == "1":
		return 0, errors.New("1 can be meant as all or as one in a hundred; write 100% or 1%")
	case n > 100:
		return 0, fmt.Errorf("%s is more than all; write it as 10%% or 0.1, at most 100%%", text)
	case n > 1:
		return 0, fmt.Errorf("%s is more than all; write %s%%", text, number)
	}
	return n, nil
}

var label = regexp.MustCompile(`^[A-Za-z0-9._-]{1,63}$`)

// parseLabel parses the name or the value of a label.
func parseLabel(text string) (string, error) {
	if !label.MatchString(text) {
		return "", fmt.Errorf("%s cannot be a label's name or value; write 1 to 63 letters, digits, dots, dashes and underscores", quote(text))
	}
	return text, nil
}

// parseHashBy parses what the hash is made of.
func parseHashBy(text string) (string, error) {
	kind, name, named := strings.Cut(text, ":")
	kinds := []string{"client", "query", "header", "cookie"}
	switch {
	case !slices.Contains(kinds, kind):
		if near := Nearest(kind, kinds); near != "" {
			return "", fmt.Errorf("%s is unknown; did you mean %s?", quote(text), near)
		}
		return "", fmt.Errorf("%s is unknown; write client, query:NAME, header:NAME or cookie:NAME", quote(text))
	case kind == "client" && !named:
		return text, nil
	case kind == "client":
		return "", fmt.Errorf("%s is unknown; client is an address and takes no name; write client", quote(text))
	case name == "":
		return "", fmt.Errorf("%s lacks the name; write %s:NAME", quote(text), kind)
	case kind == "query" && strings.ContainsFunc(name, func(c rune) bool { return unicode.IsControl(c) || strings.ContainsRune(" &=#%+?", c) }):
		return "", fmt.Errorf("%s has no name of a query parameter; write it as it stands in the URL, without & = # %% + and blanks", quote(text))
	case kind != "query" && !isToken(name):
		return "", fmt.Errorf("%s has no name of a %s; write letters, digits and -_ behind the colon", quote(text), kind)
	}
	return text, nil
}

func isToken(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// kept are the headers that no setting may change, with the reason. Names end with * where all that begin so are meant.
var kept = []struct{ names, why string }{
	{
		"Connection Keep-Alive Proxy-Connection Proxy-Authenticate Proxy-Authorization TE Trailer Transfer-Encoding Upgrade",
		"it is for one connection only, and sidway speaks to nodes over connections of its own",
	},
	{"Host", "nodes get the host that the client asked for"},
	{"Content-Length", "it must be the length of the body that the client sends"},
	{"X-Forwarded-* Forwarded X-Real-IP", "sidway writes it itself, by the client's address and trusted_proxies"},
	{"Sec-WebSocket-*", "client and node open the WebSocket by it"},
}

// parseHeaderName parses the name of a header that may be set or removed.
func parseHeaderName(text string) (string, error) {
	if !isToken(text) {
		return "", fmt.Errorf("%s is no header's name; write letters, digits and dashes, as X-Env", quote(text))
	}
	for _, k := range kept {
		for name := range strings.FieldsSeq(k.names) {
			begin, all := strings.CutSuffix(name, "*")
			if strings.EqualFold(text, name) || all && len(text) >= len(begin) && strings.EqualFold(text[:len(begin)], begin) {
				return "", fmt.Errorf("%s cannot be changed: %s", text, k.why)
			}
		}
	}
	return text, nil
}

// checkHeaderValue refuses what would end a header. No message shows the value, which may be a password.
func checkHeaderValue(text string) error {
	if strings.ContainsFunc(text, unicode.IsControl) {
		return errors.New("the value holds a line break or another control character; write it on one line")
	}
	if len(text) > 4096 {
		return errors.New("the value is longer than 4096 bytes, which not every node takes")
	}
	return nil
}

// parseToken parses a bearer token (RFC 6750, b64token). No message shows it.
func parseToken(text string) (string, error) {
	bare := strings.TrimRight(text, "=")
	for i := range len(bare) {
		if !isAlnum(bare[i]) && strings.IndexByte("-._~+/", bare[i]) < 0 {
			return "", errors.New("a token takes only letters, digits and -._~+/; make one by: openssl rand -hex 16")
		}
	}
	if bare == "" || len(text) > 1024 {
		return "", errors.New("a token has 1 to 1024 characters; make one by: openssl rand -hex 16")
	}
	return text, nil
}
