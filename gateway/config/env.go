package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// environment is the variables of a process. One that is empty counts as not set.
type environment map[string]string

func newEnvironment(environ []string) environment {
	e := environment{}
	for _, v := range environ {
		name, text, _ := strings.Cut(v, "=")
		e[name] = text
	}
	return e
}

func (l *loader) environment() {
	for _, f := range l.fields {
		if text := l.env[variable(f.key)]; text != "" {
			apply(l, f, l.cfg, variable(f.key), text)
		}
	}
	if text := l.env["SIDWAY_NODES"]; text != "" && l.clusters {
		l.nodes("SIDWAY_NODES", strings.Split(text, ","))
	}
}

// injected matches what Kubernetes sets in every container for a Service called sidway or sidway-something: none of it
// is meant for sidway. SIDWAY_PORT alone is told by its value, because people write it for SIDWAY_LISTEN.
var injected = regexp.MustCompile(`^SIDWAY_(.+_)?(SERVICE_HOST=|SERVICE_PORT(_[^=]+)?=|PORT(_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?=|=(tcp|udp|sctp)://))`)

// refuseUnknown reports variables that are meant for sidway and set nothing. A replica that goes on without
// SIDWAY_REDIS, because it was misspelt, breaks the sessions that it does not share.
func (l *loader) refuseUnknown() {
	var known, words []string
	for _, s := range Settings() {
		known = append(known, s.Variable)
		words = append(words, strings.ToLower(strings.TrimPrefix(s.Variable, "SIDWAY_")))
	}
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		prefix, rest, _ := strings.Cut(name, "_")
		switch {
		case l.env[name] == "", l.expanded[name], slices.Contains(known, name):
		case strings.HasPrefix(name, "SIDWAY_DEMO_"), injected.MatchString(name + "=" + l.env[name]):
		case prefix == "SIDWAY", slices.Contains(known, "SIDWAY_"+rest) && distance(prefix, "SIDWAY") == 1:
			l.add("", place{source: name}, "unknown variable; "+suggestVariable(strings.ToLower(rest), words))
		}
	}
}

func suggestVariable(word string, words []string) string {
	near := Nearest(word, words)
	for _, w := range words { // without its section, or with one too many, as SIDWAY_AFFINITY_REDIS
		if near != word && (strings.HasSuffix(w, "_"+word) || strings.HasSuffix(word, "_"+w)) {
			near = w
		}
	}
	if near == "" {
		return "sidway help settings lists all of them"
	}
	return "did you mean SIDWAY_" + strings.ToUpper(near) + "?"
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces each ${NAME} in a value of the file by the variable's text, which is not expanded again. $${ stands
// for ${.
func (l *loader) expand(text string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		if !found {
			return b.String() + text, nil
		}
		if literal, ok := strings.CutSuffix(before, "$"); ok {
			b.WriteString(literal + "${")
			text = rest
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !variableName.MatchString(name) { // it may be a password, so it is not shown
			return "", errors.New("${ begins a variable here, as ${NAME}; write $${ for a literal ${")
		}
		if l.env[name] == "" {
			return "", fmt.Errorf("the variable %s is not set, or empty; set it, or write $${ for a literal ${", name)
		}
		if strings.ContainsFunc(l.env[name], unicode.IsControl) { // often the line break at the end of a secret's file
			return "", fmt.Errorf("the variable %s holds a line break or another control character", name)
		}
		l.expanded[name] = true
		b.WriteString(before + l.env[name])
		text = after
	}
}
