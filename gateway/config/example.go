package config

import (
	"fmt"
	"strings"
)

// Example returns what sidway.example.yaml holds: every setting with its default and what it is for, and a cluster.
func Example() string {
	var b strings.Builder
	b.WriteString(exampleHead)
	last := ""
	for _, f := range settings {
		section, key, nested := strings.Cut(f.key, ".")
		indent := ""
		if nested {
			indent = "  "
		} else {
			key = section
		}
		if section != last {
			b.WriteString("\n")
		}
		if nested && section != last {
			comment(&b, "", sections[section])
			b.WriteString(section + ":\n")
		}
		last = section
		comment(&b, indent, f.comment)
		line := indent + f.line(key)
		if f.note != "" {
			line = fmt.Sprintf("%-25s # %s", line, f.note)
		}
		b.WriteString(line + "\n")
	}
	b.WriteString("\n" + exampleTail)
	return b.String()
}

// comment writes lines as a comment.
func comment(b *strings.Builder, indent, text string) {
	for line := range strings.Lines(text) {
		b.WriteString(indent + "# " + strings.TrimSuffix(line, "\n") + "\n")
	}
}

// line returns a setting with its default, or what stands for none.
func (f field[T]) line(key string) string {
	switch {
	case f.def == "" && f.list:
		return key + ": []"
	case f.def == "":
		return "# " + key + ": " + f.sample
	case strings.HasSuffix(f.def, ":"): // YAML would read a key
		return key + ": " + fmt.Sprintf("%q", f.def)
	}
	return key + ": " + f.def
}

// sections tells what the settings of a section have in common.
var sections = map[string]string{
	"admin": `Health checks (/healthz, /readyz) and metrics (/metrics). "off" for none. Not for the internet: whoever reaches it may
read it, but for web pages in a browser. Therefore the Host of a request must be known. On a loopback address that is
localhost and loopback addresses; else every IP address (kubelet and Prometheus ask by the pod's), every name without a
dot (a container's, a Service's) and the host in listen.`,
	"affinity": "Where it is kept which node has which session.",
	"limits":   "What clients may take.",
	"runtime": `How the replica uses processors: one event loop for each that the system and the quotas of its cgroups leave it at start, or
as many as the variable GOMAXPROCS says. It follows quotas that change.`,
	"shutdown": "How SIGTERM ends a replica.",
}

const exampleHead = `# Every setting of sidway. Those outside clusters stand here with their defaults, so all of them may be left out.
#
#   sidway check --config sidway.example.yaml
#   sidway serve --config sidway.example.yaml
#
# The environment wins over this file, the command line over both. Each setting outside clusters has a variable:
# SIDWAY_ and its path in upper case, as SIDWAY_LIMITS_HEADER_TIME; only affinity.redis is SIDWAY_REDIS for short.
# ${NAME} in a value here stands for a variable of any name, which must be set: redis://:${PASSWORD}@host:6379/0. Inside
# [ ] and { } it needs quotes. $${ stands for a literal ${. A password in a URL has its / ? # @ % written as %2F %3F %23 %40 %25.
# Durations are written as 500ms, 5s or 1m30s, sizes as 1000000, 1MB or 1MiB.
`

const exampleTail = `# A cluster is the nodes that serve one route: a host and a path.
clusters:
  - name: chat                    # part of the keys in Redis, so keep it
    # host: chat.example.com      # or a list, or "*.example.com" in quotes; left out: any host
    path: /socket.io/             # the default
    balance: least_sessions       # the default; or round_robin
    max_body: 0                   # bytes of a request's body; 0, the default, means what the node itself announces
                                  # for Socket.IO, and no limit for others
    keep_alive: true              # the default; false for "nodes" that hand each connection to one of several processes,
                                  # such as cluster workers behind @socket.io/sticky
    nodes:
      - name: n1                  # bindings hold the name, so keep it when the address changes
        url: http://127.0.0.1:3001
        weight: 1                 # 1 to 1000, 1 is the default: sessions in proportion to the others
      - {name: n2, url: "http://127.0.0.1:3002"}
      # - http://127.0.0.1:3003     # named after its address, 127.0.0.1-3003, so for one whose address stays
`
