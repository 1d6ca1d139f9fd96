package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/CycloneDX/cyclonedx-gomod/pkg/generate/bin"
	"github.com/rs/zerolog"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
)

// chart packages deploy/helm/sidway for this version, whose image it takes.
func (r *release) chart() error {
	c, err := loader.LoadDir(filepath.Join(r.root, "deploy/helm/sidway"))
	if err != nil {
		return err
	}
	c.Metadata.Version, c.Metadata.AppVersion = r.number(), r.version
	if err := c.Validate(); err != nil {
		return err
	}
	saved, err := chartutil.Save(c, r.stage)
	if err != nil {
		return err
	}
	files, err := readArchive(saved) // with the time at which Helm has packaged it
	if err != nil {
		return err
	}
	return files.archive(filepath.Join(r.out, filepath.Base(saved)), "", r.at)
}

// sbom writes which modules a target's binary is made of, as its own build information tells.
func (r *release) sbom(t target, name string) error {
	generator, err := bin.NewGenerator(r.staged(t, "sidway"),
		bin.WithVersionOverride(r.version), bin.WithIncludeStdlib(true), bin.WithLogger(zerolog.Nop()))
	if err != nil {
		return err
	}
	bom, err := generator.Generate()
	if err != nil {
		return err
	}
	bom.Metadata.Timestamp = r.at.Format(time.RFC3339)
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := cdx.NewBOMEncoder(f, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	return f.Close()
}
