package main

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// repository is what the image is called, here and in the chart's values.
const repository = "ghcr.io/sidway/sidway"

// images writes one image for each Linux target, for docker load, and an OCI layout of all of them, for registries.
func (r *release) images() error {
	tag, err := name.NewTag(repository + ":" + r.version)
	if err != nil {
		return err
	}
	var index v1.ImageIndex = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, t := range r.targets {
		if t.os != "linux" {
			continue
		}
		image, err := r.image(t)
		if err != nil {
			return err
		}
		to := filepath.Join(r.out, fmt.Sprintf("sidway_%s_image_%s.tar", r.version, t.arch))
		if err := tarball.WriteToFile(to, tag, image); err != nil {
			return err
		}
		platform := v1.Descriptor{Platform: &v1.Platform{OS: t.os, Architecture: t.arch}}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: platform})
	}
	return r.layout(index)
}

// layout writes an index as a tar of an OCI layout.
func (r *release) layout(index v1.ImageIndex) error {
	dir := filepath.Join(r.stage, "oci")
	outer := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index, Descriptor: v1.Descriptor{
		Annotations: map[string]string{"org.opencontainers.image.ref.name": r.version},
	}})
	if _, err := layout.Write(dir, outer); err != nil {
		return err
	}
	files, err := readTree(dir)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := files.tar(&b, r.at); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, fmt.Sprintf("sidway_%s_oci.tar", r.version)), b.Bytes(), 0o644)
}

// image is what the Dockerfile builds, from what is staged for a target.
func (r *release) image(t target) (v1.Image, error) {
	files := tree{"etc/ssl/certs/ca-certificates.crt": {authorities(), 0o644}}
	for from, to := range map[string]string{
		"sidway": "usr/local/bin/sidway", "LICENSE": "licenses/LICENSE", "LICENSES.txt": "licenses/LICENSES.txt",
	} {
		b, err := os.ReadFile(r.staged(t, from))
		if err != nil {
			return nil, err
		}
		mode := os.FileMode(0o644)
		if from == "sidway" {
			mode = 0o755
		}
		files[to] = file{b, mode}
	}
	var b bytes.Buffer
	if err := files.tar(&b, r.at); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(base, mutate.Addendum{
		Layer: layer, History: v1.History{Created: v1.Time{Time: r.at}, CreatedBy: "tools/release"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(image, r.config(t, image))
}

// config says how the image is run.
func (r *release) config(t target, image v1.Image) *v1.ConfigFile {
	old, err := image.ConfigFile()
	if err != nil {
		panic(err) // it is in memory
	}
	c := old.DeepCopy()
	c.OS, c.Architecture, c.Created = t.os, t.arch, v1.Time{Time: r.at}
	c.Config = v1.Config{
		User: "65532:65532", ExposedPorts: map[string]struct{}{"8080/tcp": {}, "9090/tcp": {}}, Env: []string{"PATH=/usr/local/bin"},
		Entrypoint: []string{"/usr/local/bin/sidway"}, Cmd: []string{"serve"},
		Labels: map[string]string{
			"org.opencontainers.image.title":       "sidway",
			"org.opencontainers.image.description": "A gateway for Socket.IO clusters",
			"org.opencontainers.image.source":      "https://github.com/sidway/sidway",
			"org.opencontainers.image.licenses":    "MIT",
			"org.opencontainers.image.version":     r.version,
			"org.opencontainers.image.revision":    r.revision,
		},
	}
	return c
}

// authorities are the certificates of public authorities, of Mozilla's list as the module pinned in go.mod has it. Those that it trusts
// with reservations, which a file cannot express, are left out.
func authorities() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes all
		}
	}
	return b.Bytes()
}
