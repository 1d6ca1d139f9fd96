package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version says which build this is, as far as the build recorded it.
func (c command) version(args []string) error {
	if len(args) > 0 {
		return &usageError{text: "version takes no arguments"}
	}
	version, revision := "(unknown)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = " " + s.Value[:min(12, len(s.Value))] + revision
			case s.Key == "vcs.modified" && s.Value == "true":
				revision += " with changes"
			}
		}
	}
	_, err := fmt.Fprintf(c.stdout, "sidway %s%s\n%s %s/%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
