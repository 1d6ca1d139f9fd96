package config

import (
	"fmt"
	"strings"
)

// Example returns what sidway.example.yaml holds: every setting with its default and what it is for, and a cluster.
func Example() string {
	var b strings.Builder
	b.WriteString("# Every setting of sidway. Those outside clusters stand here with their defaults, so all of them may be left out.\n#\n")
	b.WriteString("#   sidway check --config sidway.example.yaml\n#   sidway serve --config sidway.example.yaml\n#\n")
	comment(&b, "", rules)
	last, lastInner := "", ""
	for _, f := range settings {
		section, key, nested := strings.Cut(f.key, ".")
		indent := "  "
		if !nested {
			indent, key = "", section
		}
		if section != last {
			b.WriteString("\n")
		}
		if nested && section != last {
			comment(&b, "", sections[section])
			b.WriteString(section + ":\n")
		}
		last = section
		inner, rest, deeper := strings.Cut(key, ".")
		if deeper {
			if inner != lastInner {
				comment(&b, indent, sections[section+"."+inner])
				b.WriteString(indent + inner + ":\n")
			}
			indent, key, lastInner = indent+"  ", rest, inner
		}
		f.write(&b, indent, indent+f.line(key), 25)
	}
	b.WriteString("\n")
	comment(&b, "", sections["clusters"])
	b.WriteString("clusters:\n")
	item(&b, "  ", aboutOf(clusterFields))
	b.WriteString("    nodes:\n")
	item(&b, "      ", aboutOf(nodeFields))
	b.WriteString("      - {name: n2, url: \"http://127.0.0.1:3002\"}\n")
	b.WriteString("      # - http://127.0.0.1:3003     # named after its address, 127.0.0.1-3003, so for one whose address stays\n")
	return b.String()
}

// item writes an object of a list.
func item(b *strings.Builder, indent string, all []about) {
	var object strings.Builder
	lines(&object, indent+"  ", all)
	b.WriteString(indent + "- " + object.String()[len(indent)+2:])
}

// lines writes settings. Those of an object that may be left out are commented out with it.
func lines(b *strings.Builder, indent string, all []about) {
	last := ""
	for _, a := range all {
		section, key, nested := strings.Cut(a.key, ".")
		in := indent + "  "
		if !nested {
			in, key = indent, section
		} else if section != last {
			comment(b, indent, sections["clusters."+section])
			b.WriteString(indent + section + ":\n")
		}
		last = section
		a.write(b, in, in+a.line(key), 33)
		lines(b, in+"#   ", a.below)
	}
}

// write writes a setting's line between its comment and its note, which begins at a column.
func (a about) write(b *strings.Builder, indent, line string, column int) {
	comment(b, indent, a.comment)
	if a.note != "" {
		line = fmt.Sprintf("%-*s # %s", column, line, a.note)
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

// comment writes lines as a comment.
func comment(b *strings.Builder, indent, text string) {
	for line := range strings.Lines(text) {
		b.WriteString(indent + "# " + strings.TrimSuffix(line, "\n") + "\n")
	}
}

// line returns a setting with its default, or what stands for none.
func (a about) line(key string) string {
	switch {
	case a.required:
		return key + ": " + a.sample
	case a.def == "" && a.list:
		return key + ": []"
	case a.def == "":
		return strings.TrimSpace("# " + key + ": " + a.sample)
	case strings.HasSuffix(a.def, ":"): // YAML would read a key
		return key + ": " + fmt.Sprintf("%q", a.def)
	}
	return key + ": " + a.def
}

// sections tells what the settings of a section have in common.
var sections = map[string]string{
	"admin": `Health checks (/healthz, /readyz), metrics (/metrics), the status page and the API. "off" for none. Health checks are for anybody who
reaches it; the rest is for clients on this machine, and for others by the token. No web page in a browser may ask: the Host of a request
must be known. On a loopback address that is localhost and loopback addresses; else every IP address (kubelet and Prometheus ask by the
pod's), every name without a dot (a container's, a Service's) and the host in listen.`,
	"affinity": "Where it is kept which node has which session.",
	"tls":      "What listeners with TLS show to clients, and ask of them.",
	"tls.acme": "Certificates that are obtained and renewed by themselves. The authority asks at ports 80 or 443 whether each host is ours.",
	"limits":   "What clients may take.",
	"trace":    "Traces of requests, by OpenTelemetry.",
	"runtime": `How the replica uses processors: one event loop for each that the system and the quotas of its cgroups leave it at start, or
as many as the variable GOMAXPROCS says. It follows quotas that change.`,
	"shutdown":                 "How SIGTERM ends a replica.",
	"clusters.pace":            "How fast a node gets new sessions.",
	"clusters.auth":            "Who may have a session; left out, anybody. Requests on other paths than Socket.IO's are not asked.",
	"clusters.request_headers": "What is changed in the headers of a request before a node gets it.",
	"clusters":                 "A cluster is the nodes that serve one route: a host and a path. The first that fits serves.",
}

// rules are what holds for all settings.
const rules = `The environment wins over the file, the command line over both. Each setting outside clusters has a variable and a flag:
SIDWAY_ and its path in upper case, as SIDWAY_LIMITS_HEADER_TIME, and -- and its path with - for _, as --limits.header-time.
Only affinity.redis is SIDWAY_REDIS and --redis for short, and admin.listen --admin.
${NAME} in a value of the file stands for a variable of any name, which must be set: redis://:${PASSWORD}@host:6379/0. Inside
[ ] and { } it needs quotes. $${ stands for a literal ${. Secrets may be written as file:/run/secrets/name, which stands for what the
file holds, without a line break at its end; it is read again at each reload. A password in a URL has its / ? # @ % written as %2F %3F %23 %40 %25.
Durations are written as 500ms, 5s or 1m30s, sizes as 1000000, 1MB or 1MiB, rates as 200/s or 12000/m, shares as 10% or 0.1.
`
