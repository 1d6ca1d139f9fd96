package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// target is one system and architecture, by Go's names.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "/" + t.arch }

func parseTargets(list string) (all []target, err error) {
	for _, s := range strings.Split(list, ",") {
		system, arch, ok := strings.Cut(s, "/")
		if !ok || (system != "linux" && system != "darwin") || (arch != "amd64" && arch != "arm64") {
			return nil, fmt.Errorf("%q: a target is linux or darwin, / and amd64 or arm64", s)
		}
		all = append(all, target{system, arch})
	}
	if !slices.Contains(all, own) {
		return nil, fmt.Errorf("%s must be among the targets: that binary prints the manual page", own)
	}
	return all, nil
}

// own is the machine's own target.
var own = target{runtime.GOOS, runtime.GOARCH}

// env leaves nothing that changes a binary to the environment, but the version of Go itself.
func (t target) env() []string {
	return []string{
		"CGO_ENABLED=0", "GOOS=" + t.os, "GOARCH=" + t.arch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOWORK=off", "GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GODEBUG=",
	}
}

func (r *release) staged(t target, name ...string) string {
	return filepath.Join(append([]string{r.stage, t.os + "_" + t.arch}, name...)...)
}

// build compiles the binary as the Dockerfile does.
func (r *release) build(t target) error {
	_, err := output(r.root, t.env(), "go", "build", "-trimpath", "-buildvcs=false", "-pgo="+r.pgo,
		"-ldflags=-s -w -X main.stamp="+r.version, "-o", r.staged(t, "sidway"), "./cmd/sidway")
	return err
}

// texts are the files that are the same for all targets: those that the binary itself prints, and those of the repository.
func (r *release) texts() (tree, error) {
	all := tree{}
	for name, args := range map[string][]string{
		"sidway.1": {"man"}, "completions/sidway.bash": {"completion", "bash"},
		"completions/_sidway": {"completion", "zsh"}, "completions/sidway.fish": {"completion", "fish"},
	} {
		text, err := output(r.root, nil, r.staged(own, "sidway"), args...)
		if err != nil {
			return nil, err
		}
		all[name] = file{[]byte(text + "\n"), 0o644}
	}
	for _, name := range []string{"LICENSE", "CHANGELOG.md", "sidway.example.yaml"} {
		b, err := os.ReadFile(filepath.Join(r.root, name))
		if err != nil {
			return nil, err
		}
		all[name] = file{b, 0o644}
	}
	return all, nil
}

// files are what the archive of a target holds, below one directory.
func (r *release) files(t target, texts tree) (tree, error) {
	all := tree{}
	for name, f := range texts {
		all[name] = f
	}
	binary, err := os.ReadFile(r.staged(t, "sidway"))
	if err != nil {
		return nil, err
	}
	all["sidway"] = file{binary, 0o755}
	licences, err := r.licences(t)
	if err != nil {
		return nil, err
	}
	all["LICENSES.txt"] = file{licences, 0o644}
	if t.os != "linux" {
		return all, nil
	}
	for _, unit := range []string{"sidway.service", "sidway.socket"} {
		b, err := os.ReadFile(filepath.Join(r.root, "deploy/systemd", unit))
		if err != nil {
			return nil, err
		}
		all["systemd/"+unit] = file{b, 0o644}
	}
	return all, nil
}

// licences are those of all that the binary is made of, which their texts ask to go with it: Go itself, and each module.
func (r *release) licences(t target) ([]byte, error) {
	const format = `{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}	{{.Dir}}	{{$.Dir}}{{end}}{{end}}`
	list, err := output(r.root, t.env(), "go", "list", "-deps", "-f", format, "./cmd/sidway")
	if err != nil {
		return nil, err
	}
	goroot, err := output(r.root, t.env(), "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	owners := map[string][]string{} // directories, by module
	for line := range strings.Lines("Go\t" + goroot + "\t" + goroot + "\n" + list) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 {
			owners[f[0]] = append(owners[f[0]], f[1:]...)
		}
	}
	var b bytes.Buffer
	b.WriteString("sidway is made of these modules, whose licences follow. Its own is in LICENSE.\n")
	for _, owner := range slices.Sorted(maps.Keys(owners)) {
		var texts []string
		for _, dir := range owners[owner] {
			for _, pattern := range []string{"LICEN[CS]E*", "COPYING*", "NOTICE*", "PATENTS*"} {
				found, _ := filepath.Glob(filepath.Join(dir, pattern))
				texts = append(texts, found...)
			}
		}
		if len(texts) == 0 {
			return nil, fmt.Errorf("%s has no licence", owner)
		}
		slices.Sort(texts)
		for _, name := range slices.Compact(texts) {
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&b, "\n%s\n%s: %s\n\n%s\n", strings.Repeat("-", 80), owner, filepath.Base(name), bytes.TrimSpace(text))
		}
	}
	return b.Bytes(), nil
}
