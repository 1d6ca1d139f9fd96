// Command release makes what a version of sidway is published as, byte for byte the same from the same commit with the same Go:
//
//	go -C tools/release run . -version v1.2.3 [-out DIR] [-targets linux/amd64,linux/arm64,darwin/amd64,darwin/arm64] [-pgo auto]
//
// For each target an archive with a static binary and an SBOM, for Linux also a deb, an rpm and an image; then one image index for all
// architectures, the Helm chart, and SHA256SUMS. It needs git and no daemon. Nothing is signed and nothing is uploaded.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// release is one version being made.
type release struct {
	root     string // of the repository
	out      string // what is published
	stage    string // what is on the way there, for each target
	version  string // v1.2.3
	revision string
	at       time.Time // when the revision was committed: the only time that anything in a release bears
	pgo      string    // auto or off
	targets  []target
}

// number is the version as packages and charts write it: 1.2.3.
func (r *release) number() string { return strings.TrimPrefix(r.version, "v") }

func main() {
	r := &release{}
	var targets, root string
	flag.StringVar(&r.version, "version", "", "of the release, as v1.2.3")
	flag.StringVar(&root, "root", "../..", "the repository, without changes that are not committed")
	flag.StringVar(&r.out, "out", "", "directory to write to; the default is bin/VERSION in the repository")
	flag.StringVar(&r.pgo, "pgo", "auto", "auto or off, as of go build")
	flag.StringVar(&targets, "targets", "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64",
		"systems and architectures; this machine's own must be one")
	flag.Parse()
	if err := r.prepare(root, targets); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(2)
	}
	if err := r.make(); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// prepare learns from git what is released.
func (r *release) prepare(root, targets string) (err error) {
	if !semver.IsValid(r.version) || semver.Canonical(r.version) != r.version {
		return fmt.Errorf("%q is no version such as v1.2.3 or v1.2.3-rc.1", r.version)
	}
	if r.targets, err = parseTargets(targets); err != nil {
		return err
	}
	if r.root, err = filepath.Abs(root); err != nil {
		return err
	}
	if r.out == "" {
		r.out = filepath.Join(r.root, "bin", r.version)
	}
	if r.out, err = filepath.Abs(r.out); err != nil {
		return err
	}
	if changes, err := r.git("status", "--porcelain"); err != nil || changes != "" {
		return errors.Join(err, fmt.Errorf("a release is made of a commit, and these files differ from it:\n%s", changes))
	}
	if r.revision, err = r.git("rev-parse", "HEAD"); err != nil {
		return err
	}
	if tagged, err := r.git("rev-parse", "--quiet", "--verify", "refs/tags/"+r.version+"^{commit}"); err == nil && tagged != r.revision {
		return fmt.Errorf("%s is commit %s, and this is %s", r.version, tagged, r.revision)
	}
	seconds, err := r.git("show", "-s", "--format=%ct", "HEAD")
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	r.at = time.Unix(n, 0).UTC()
	return err
}

func (r *release) git(args ...string) (string, error) { return output(r.root, nil, "git", args...) }

// make writes the release to r.out, of which nothing older is left.
func (r *release) make() (err error) {
	if r.stage, err = os.MkdirTemp("", "sidway-release-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.stage)
	if err := errors.Join(os.RemoveAll(r.out), os.MkdirAll(r.out, 0o755)); err != nil {
		return err
	}
	for _, t := range r.targets {
		if err := r.build(t); err != nil {
			return err
		}
	}
	texts, err := r.texts()
	if err != nil {
		return err
	}
	for _, t := range r.targets {
		if err := r.publish(t, texts); err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
	}
	for _, step := range []func() error{r.images, r.chart, r.sums} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// publish makes what there is for one target alone.
func (r *release) publish(t target, texts tree) error {
	files, err := r.files(t, texts)
	if err != nil {
		return err
	}
	if err := files.write(r.staged(t)); err != nil {
		return err
	}
	base := fmt.Sprintf("sidway_%s_%s_%s", r.version, t.os, t.arch)
	if err := files.archive(filepath.Join(r.out, base+".tar.gz"), base, r.at); err != nil {
		return err
	}
	if err := r.sbom(t, filepath.Join(r.out, base+".cdx.json")); err != nil {
		return fmt.Errorf("sbom: %w", err)
	}
	if t.os == "linux" {
		return r.packages(t)
	}
	return nil
}

// output runs a program in a directory, with more variables, and returns what it prints.
func output(dir string, env []string, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var said strings.Builder
	cmd.Stderr = &said
	b, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, said.String())
	}
	return strings.TrimRight(string(b), "\n"), nil
}
