package config

import (
	"fmt"
	"strings"
)

// Reference returns what docs/configuration.md holds.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	last := ""
	for _, f := range settings {
		section, _, nested := strings.Cut(f.key, ".")
		if section != last {
			fmt.Fprintf(&b, "\n## %s\n\n", section)
			if text := sections[section]; nested && text != "" {
				b.WriteString(text + "\n\n")
			}
		}
		last = section
		f.explain(&b, f.key, fmt.Sprintf("`--%s`, `%s`", f.flag(), variable(f.key)))
		explainAll(&b, f.key+".", f.below)
	}
	fmt.Fprintf(&b, "\n## clusters\n\n%s\nIt is a list; each cluster has these keys.\n\n", sections["clusters"])
	explainAll(&b, "", aboutOf(clusterFields))
	b.WriteString(referenceNodes)
	explainAll(&b, "", aboutOf(nodeFields))
	return b.String()
}

// explainAll writes settings, and behind each those that are below it.
func explainAll(b *strings.Builder, prefix string, all []about) {
	for _, a := range all {
		a.explain(b, prefix+a.key, "")
		explainAll(b, prefix+a.key+".", a.below)
	}
}

// explain writes an item on a setting, with the names that it has elsewhere.
func (a about) explain(b *strings.Builder, key, names string) {
	fmt.Fprintf(b, "- **`%s`**, %s", key, a.usual())
	if names != "" {
		b.WriteString("; " + names)
	}
	if a.note != "" {
		b.WriteString(": " + a.note)
	}
	b.WriteString(".\n")
	code := false
	for line := range strings.Lines(a.comment) {
		if indented := strings.HasPrefix(line, "  "); indented != code {
			code = indented
			b.WriteString("\n")
		}
		if code {
			line = "    " + line
		}
		b.WriteString("  " + strings.TrimSuffix(line, "\n") + "\n")
	}
}

// usual tells what holds where nothing is said.
func (a about) usual() string {
	switch {
	case a.required:
		return "required, as `" + a.sample + "`"
	case a.def == "" && a.sample == "":
		return "none by default"
	case a.def == "":
		return "none by default, as `" + a.sample + "`"
	}
	return "by default `" + a.def + "`"
}

const referenceNodes = "- **`nodes`**, required unless `discover` is there; `--node`, `SIDWAY_NODES`: its nodes, which stay beside those that are found; the flag and the variable are for the only cluster." + `

### clusters: nodes

A node is written as ` + "`[name=]http://host:port[;weight=5]`" + `, and named after its address where it has no name, or with these keys.

`

const referenceHead = `# Configuration

<!-- Made from the table of settings by: go test ./gateway/config -update -->

Each setting, with its default, its flag and its variable. [sidway.example.yaml](../sidway.example.yaml) is the same as a file to
begin with.

` + "`sidway check --config sidway.yaml`" + ` says what is wrong with a file, and in which line, or all that is in force.

` + rules
