package replica_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is made from code in docs/metrics.md and docs/logs.md")

// isMade fails unless the part of a page between its two marks holds this text, or writes it.
func isMade(t *testing.T, page, part, text string) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(b), "<!-- begin "+part+": ")
	mark, rest, marked := strings.Cut(rest, " -->\n")
	found, after, ends := strings.Cut(rest, "<!-- end "+part+" -->\n")
	if !begins || !marked || !ends {
		t.Fatalf("%s has no part %s", page, part)
	}
	switch {
	case found == text:
	case *update:
		whole := before + "<!-- begin " + part + ": " + mark + " -->\n" + text + "<!-- end " + part + " -->\n" + after
		if err := os.WriteFile(page, []byte(whole), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s: %s is not what the code says; write it by: make docs", page, part)
	}
}

// metric is a row of the reference.
type metric struct{ name, kind, labels, help string }

var (
	inDesc  = regexp.MustCompile(`fqName: "([a-z_]+)", help: "(.*)", unit: .*variableLabels: \{([a-z_,]*)\}`)
	inPage  = regexp.MustCompile(`(?m)^# HELP (sidway_[a-z_]+) (.*)\n# TYPE \S+ (\w+)\n[a-z_]+(?:\{(.*)\})? `)
	aLabel  = regexp.MustCompile(`(\w+)="`)
	goTypes = map[string]string{
		"*prometheus.CounterVec": "counter", "*prometheus.counter": "counter",
		"*prometheus.GaugeVec": "gauge", "*prometheus.gauge": "gauge", "*prometheus.HistogramVec": "histogram",
	}
)

// metricsTable is the reference of all metrics: of those that were registered with r, and of those on the page of a replica.
func metricsTable(r *recorder, page string) string {
	all := map[string]metric{}
	for _, d := range r.descs {
		m := inDesc.FindStringSubmatch(d.text)
		help, _ := strconv.Unquote(`"` + m[2] + `"`)
		all[m[1]] = metric{m[1], goTypes[d.of], m[3], help}
	}
	for _, m := range inPage.FindAllStringSubmatch(page, -1) {
		var labels []string
		for _, l := range aLabel.FindAllStringSubmatch(m[4], -1) {
			if l[1] != "le" {
				labels = append(labels, l[1])
			}
		}
		known := all[m[1]]
		if known.labels == "" {
			known.labels = strings.Join(labels, ",")
		}
		all[m[1]] = metric{m[1], m[3], known.labels, m[2]}
	}
	var b strings.Builder
	b.WriteString("| metric | type | labels | what it is |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, strings.ReplaceAll(m.labels, ",", ", "), strings.TrimSuffix(m.help, "."))
	}
	return b.String()
}

// message is what a line of the log says, with its level and fields.
type message struct{ level, text, fields string }

// messages returns the lines that the code of a folder writes whose text stands where they are written.
func messages(t *testing.T, pattern string) []message {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal(pattern, err)
	}
	var all []message
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if m, ok := messageOf(call); ok {
					all = append(all, m)
				}
			}
			return true
		})
	}
	return all
}

func messageOf(call *ast.CallExpr) (message, bool) {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 || !slices.Contains([]string{"Info", "Warn", "Error"}, method.Sel.Name) {
		return message{}, false
	}
	text := literal(call.Args[0])
	if text == "" {
		return message{}, false
	}
	var fields []string
	for i := 1; i < len(call.Args); i += 2 {
		if key := literal(call.Args[i]); key != "" {
			fields = append(fields, "`"+key+"`")
		}
	}
	return message{strings.ToUpper(method.Sel.Name), text, strings.Join(fields, ", ")}, true
}

// literal returns a text of the code, with … for what is known at run time alone; "" where no text begins it.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	case *ast.BinaryExpr:
		if left := literal(e.X); left != "" {
			if right := literal(e.Y); right != "" {
				return left + right
			}
			return strings.TrimSuffix(left, "…") + "…"
		}
	}
	return ""
}

// The messages of the log stand in docs/logs.md.
func TestMessagesAreDocumented(t *testing.T) {
	var all []message
	for _, pattern := range []string{"../*.go", "../*/*.go", "../../cmd/sidway/*.go"} {
		all = append(all, messages(t, pattern)...)
	}
	slices.SortFunc(all, func(a, b message) int {
		return strings.Compare(a.level+strings.ToLower(a.text)+a.fields, b.level+strings.ToLower(b.text)+b.fields)
	})
	all = slices.Compact(all)
	if len(all) < 40 {
		t.Errorf("only %d messages are found", len(all))
	}
	var b strings.Builder
	b.WriteString("| level | message | fields |\n|---|---|---|\n")
	for _, m := range all {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", m.level, strings.ReplaceAll(m.text, "|", `\|`), m.fields)
	}
	isMade(t, logs, "messages", b.String())
}

// The fields of the access log stand there, and no others.
func TestFieldsOfTheAccessLogAreDocumented(t *testing.T) {
	fields := matches(regexp.MustCompile(`slog\.\w+\("(\w+)"`), text(t, "../access.go"))
	same(t, "fields", tabled(t, logs, "## Access log"), fields)
}
