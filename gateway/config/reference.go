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
		f.explain(&b, fmt.Sprintf("`--%s`, `%s`", f.flag(), variable(f.key)))
	}
	fmt.Fprintf(&b, "\n## clusters\n\n%s\nIt is a list; each cluster has these keys.\n\n", sections["clusters"])
	for _, f := range clusterFields {
		f.explain(&b, "")
	}
	b.WriteString(referenceNodes)
	for _, f := range nodeFields {
		f.explain(&b, "")
	}
	return b.String()
}

// explain writes an item on a setting, with the names that it has elsewhere.
func (f field[T]) explain(b *strings.Builder, names string) {
	fmt.Fprintf(b, "- **`%s`**, %s", f.key, f.usual())
	if names != "" {
		b.WriteString("; " + names)
	}
	if f.note != "" {
		b.WriteString(": " + f.note)
	}
	b.WriteString(".\n")
	code := false
	for line := range strings.Lines(f.comment) {
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
func (f field[T]) usual() string {
	switch {
	case f.required:
		return "required, as `" + f.sample + "`"
	case f.def == "":
		return "none by default, as `" + f.sample + "`"
	}
	return "by default `" + f.def + "`"
}

const referenceNodes = "- **`nodes`**, required; `--node`, `SIDWAY_NODES`: its nodes; the flag and the variable are for the only cluster." + `

### clusters: nodes

A node is written as ` + "`[name=]http://host:port[;weight]`" + `, and named after its address where it has no name, or with these keys.

`

const referenceHead = `# Configuration

<!-- Made from the table of settings by: go test ./gateway/config -update -->

Each setting, with its default, its flag and its variable. [sidway.example.yaml](../sidway.example.yaml) is the same as a file to
begin with.

` + "`sidway check --config sidway.yaml`" + ` says what is wrong with a file, and in which line, or all that is in force.

` + rules
