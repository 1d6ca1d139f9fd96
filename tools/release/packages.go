package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// packages makes a deb and an rpm of what is staged for a target, as deploy/package says.
func (r *release) packages(t target) error {
	from := filepath.Join(r.root, "deploy/package")
	man, err := os.ReadFile(r.staged(t, "sidway.1"))
	if err != nil {
		return err
	}
	unit, err := os.ReadFile(r.staged(t, "systemd/sidway.service"))
	if err != nil {
		return err
	}
	settings, err := os.ReadFile(filepath.Join(from, "sidway.yaml"))
	if err != nil {
		return err
	}
	// Programs of packages are in /usr/bin, those of operators in /usr/local/bin.
	packaged := tree{
		"sidway.1.gz": {compressed(man), 0o644}, "packaged/sidway.yaml": {settings, 0o644},
		"packaged/sidway.service": {bytes.ReplaceAll(unit, []byte("=/usr/local/bin/"), []byte("=/usr/bin/")), 0o644},
	}
	if err := packaged.write(r.staged(t)); err != nil {
		return err
	}
	for _, format := range []string{"deb", "rpm"} {
		config, err := nfpm.ParseFileWithEnvMapping(filepath.Join(from, "nfpm.yaml"), func(name string) string {
			return map[string]string{"ARCH": t.arch, "VERSION": r.number()}[name]
		})
		if err != nil {
			return err
		}
		info, err := config.Get(format)
		if err != nil {
			return err
		}
		info.MTime, info.DisableGlobbing = r.at, true
		for _, c := range info.Contents {
			if c.Source != "" {
				c.Source = r.staged(t, c.Source)
			}
		}
		for _, script := range []*string{&info.Scripts.PostInstall, &info.Scripts.PreRemove, &info.Scripts.PostRemove} {
			*script = filepath.Join(from, *script)
		}
		packager, err := nfpm.Get(format)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := packager.Package(info, &b); err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
		if err := os.WriteFile(filepath.Join(r.out, packager.ConventionalFileName(info)), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
