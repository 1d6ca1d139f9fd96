package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// version says which build this is, as far as the build recorded it.
func (c command) version(args []string) error {
	if len(args) > 0 {
		return &usageError{text: "version takes no arguments"}
	}
	_, err := fmt.Fprintf(c.stdout, "sidway %s\n%s %s/%s\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// stamp is what the linker was told that the build is called: -ldflags "-X main.stamp=1.2.3".
var stamp string

// buildVersion names the build.
func buildVersion() string {
	if stamp != "" {
		return stamp
	}
	version := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			// A build between two releases has the revision in its version already.
			if short := s.Value[:min(12, len(s.Value))]; s.Key == "vcs.revision" && !strings.Contains(version, short) {
				version += " " + short
			}
		}
	}
	return version
}
