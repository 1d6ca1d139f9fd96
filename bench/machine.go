//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/bench/report"
)

// machine tells where the run takes place.
func machine(ctx context.Context) (report.Machine, error) {
	m := report.Machine{CPU: "unknown processor", Cores: runtime.NumCPU()}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return m, fmt.Errorf("sysinfo: %w", err)
	}
	m.Memory = int64(info.Totalram) * int64(info.Unit)
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return m, fmt.Errorf("uname: %w", err)
	}
	m.Kernel = unix.ByteSliceToString(name.Release[:]) + " " + unix.ByteSliceToString(name.Machine[:])
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	m.Revision = revision(ctx)
	redis, err := output(ctx, "redis-server", "--version")
	if err != nil {
		return m, err
	}
	openssl, err := output(ctx, "openssl", "version") // whose library nginx and HAProxy use
	if err != nil {
		return m, err
	}
	m.Versions = []string{redis, openssl, runtime.Version()}
	return m, nil
}

// revision is git's name of the sources, with a plus sign where tracked files differ from it.
func revision(ctx context.Context) string {
	name, err := output(ctx, "git", "rev-parse", "--short=12", "HEAD")
	if err != nil {
		return "unknown"
	}
	if changes, err := output(ctx, "git", "status", "--porcelain", "--untracked-files=no"); err != nil || changes != "" {
		name += "+"
	}
	return name
}

// output runs a program and returns what it prints.
func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
