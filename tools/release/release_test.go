package main

import (
	"bytes"
	"crypto/x509"
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"helm.sh/helm/v3/pkg/chart/loader"
)

// A release of this machine's own target and, for its packages, of Linux on its architecture, by builds that are thrown away.
func TestRelease(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	r := &release{
		root: root, out: filepath.Join(t.TempDir(), "out"), version: "v1.2.3-rc.1", revision: strings.Repeat("0a", 20),
		at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), pgo: "off", targets: []target{own},
	}
	linux := target{"linux", own.arch}
	if own != linux {
		r.targets = append(r.targets, linux)
	}
	if err := r.make(); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(r.out, "*"))
	if err != nil {
		t.Fatal(err)
	}
	find := func(pattern string) string {
		t.Helper()
		found, _ := filepath.Glob(filepath.Join(r.out, pattern))
		if len(found) != 1 {
			t.Fatalf("%q: %q of %q", pattern, found, names)
		}
		return found[0]
	}
	base := "sidway_v1.2.3-rc.1_linux_" + own.arch
	files, err := readArchive(find(base + ".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	binary := files[base+"/sidway"]
	info, err := buildinfo.Read(bytes.NewReader(binary.data))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("sums", func(t *testing.T) {
		b, err := os.ReadFile(find("SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(b, []byte("\n")); lines != len(names)-1 {
			t.Errorf("%d sums of %q", lines, names)
		}
	})
	t.Run("archive", func(t *testing.T) {
		for _, name := range []string{"LICENSE", "LICENSES.txt", "sidway.1", "sidway.example.yaml", "completions/_sidway", "systemd/sidway.service"} {
			if len(files[base+"/"+name].data) == 0 {
				t.Errorf("no %s", name)
			}
		}
		if binary.mode != 0o755 {
			t.Errorf("mode %v", binary.mode)
		}
		for _, m := range info.Deps {
			if !bytes.Contains(files[base+"/LICENSES.txt"].data, []byte(m.Path+" "+m.Version+": ")) {
				t.Errorf("no licence of %s", m.Path)
			}
		}
	})
	t.Run("sbom", func(t *testing.T) { checkSBOM(t, find(base+".cdx.json"), info) })
	t.Run("deb", func(t *testing.T) { checkDeb(t, find("sidway_1.2.3~rc.1*_"+own.arch+".deb")) })
	t.Run("rpm", func(t *testing.T) {
		if head, err := os.ReadFile(find("sidway-1.2.3~rc.1-1.*.rpm")); err != nil || !bytes.HasPrefix(head, []byte("\xed\xab\xee\xdb")) {
			t.Errorf("no rpm: %v", err)
		}
	})
	t.Run("chart", func(t *testing.T) {
		c, err := loader.Load(find("sidway-1.2.3-rc.1.tgz"))
		if err != nil {
			t.Fatal(err)
		}
		if c.Metadata.AppVersion != r.version || c.Metadata.Version != "1.2.3-rc.1" || len(c.Templates) < 5 {
			t.Errorf("%+v with %d templates", c.Metadata, len(c.Templates))
		}
		if image := c.Values["image"].(map[string]any); image["repository"] != repository {
			t.Errorf("its image is %v", image)
		}
	})
	t.Run("image", func(t *testing.T) {
		image, err := tarball.ImageFromPath(find("*_image_"+own.arch+".tar"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(image); err != nil {
			t.Error(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(authorities(), []byte("BEGIN CERTIFICATE")); n < 100 || !x509.NewCertPool().AppendCertsFromPEM(authorities()) {
			t.Errorf("%d authorities", n)
		}
		asTheDockerfile(t, filepath.Join(root, "Dockerfile"), config)
	})
	t.Run("oci", func(t *testing.T) {
		f, err := os.Open(find("*_oci.tar"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files, err := readTar(f)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := files.write(dir); err != nil {
			t.Fatal(err)
		}
		index, err := layout.ImageIndexFromPath(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(index); err != nil {
			t.Error(err)
		}
	})
}

// checkSBOM demands every module that the binary is made of, and Go.
func checkSBOM(t *testing.T, name string, info *buildinfo.BuildInfo) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(f, cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if bom.Metadata.Component.Version != "v1.2.3-rc.1" || bom.Metadata.Timestamp != "2026-01-02T03:04:05Z" {
		t.Errorf("it is of %s at %s", bom.Metadata.Component.Version, bom.Metadata.Timestamp)
	}
	named := map[string]string{}
	for _, c := range *bom.Components {
		named[c.Name] = c.Version
	}
	if len(info.Deps) < 10 || named["std"] != info.GoVersion {
		t.Errorf("Go is %q, and it is made of %d modules", named["std"], len(info.Deps))
	}
	for _, m := range info.Deps {
		if named[m.Path] != m.Version {
			t.Errorf("%s is %q, and %s was built in", m.Path, named[m.Path], m.Version)
		}
	}
}

// checkDeb demands the files of the deb, by dpkg's own programs.
func checkDeb(t *testing.T, name string) {
	dpkg := func(args ...string) string {
		t.Helper()
		b, err := exec.Command("dpkg-deb", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("dpkg-deb %q: %v\n%s", args, err, b)
		}
		return string(b)
	}
	list := dpkg("--contents", name)
	for _, line := range []string{
		"-rwxr-xr-x root/root .* ./usr/bin/sidway", "-rw-r--r-- root/root .* ./etc/sidway/sidway.yaml", "-rw-r--r-- root/root .* ./usr/lib/systemd/system/sidway.service",
		"-rw-r--r-- root/root .* ./usr/lib/systemd/system/sidway.socket", "-rw-r--r-- root/root .* ./usr/share/man/man1/sidway.1.gz",
		"-rw-r--r-- root/root .* ./usr/share/bash-completion/completions/sidway", "-rw-r--r-- root/root .* ./usr/share/doc/sidway/copyright",
	} {
		if !regexp.MustCompile("(?m)^" + line + "$").MatchString(list) {
			t.Errorf("no %s in\n%s", line, list)
		}
	}
	dir := t.TempDir()
	dpkg("--raw-extract", name, dir)
	conffiles, _ := os.ReadFile(filepath.Join(dir, "DEBIAN/conffiles"))
	if string(bytes.TrimSpace(conffiles)) != "/etc/sidway/sidway.yaml" {
		t.Errorf("conffiles: %q", conffiles)
	}
	unit, _ := os.ReadFile(filepath.Join(dir, "usr/lib/systemd/system/sidway.service"))
	if !bytes.Contains(unit, []byte("\nExecStart=/usr/bin/sidway serve")) || bytes.Contains(unit, []byte("/usr/local")) {
		t.Errorf("the unit starts another binary:\n%s", unit)
	}
	if b, err := exec.Command(filepath.Join(dir, "usr/bin/sidway"), "check", "--config", filepath.Join(dir, "etc/sidway/sidway.yaml")).CombinedOutput(); err != nil {
		t.Errorf("its settings: %v\n%s", err, b)
	}
}

// asTheDockerfile demands the same of an image as the Dockerfile has.
func asTheDockerfile(t *testing.T, name string, c *v1.ConfigFile) {
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, final, _ := strings.Cut(string(b), "\nFROM scratch\n")
	has := func(instruction, pattern string) [][]string {
		t.Helper()
		found := regexp.MustCompile(`(?m)^`+instruction+` `+pattern+`$`).FindAllStringSubmatch(final, -1)
		if len(found) == 0 {
			t.Fatalf("no %s in %s", instruction, name)
		}
		return found
	}
	if user := has("USER", `(\S+)`)[0][1]; c.Config.User != user {
		t.Errorf("user %s, %s there", c.Config.User, user)
	}
	if env := has("ENV", `(\S+)`)[0][1]; !slices.Equal(c.Config.Env, []string{env}) {
		t.Errorf("variables %q, %s there", c.Config.Env, env)
	}
	for _, port := range strings.Fields(has("EXPOSE", `(.+)`)[0][1]) {
		if _, ok := c.Config.ExposedPorts[port+"/tcp"]; !ok {
			t.Errorf("no port %s", port)
		}
	}
	for instruction, list := range map[string][]string{"ENTRYPOINT": c.Config.Entrypoint, "CMD": c.Config.Cmd} {
		var want []string
		if err := json.Unmarshal([]byte(has(instruction, `(\[.*\])`)[0][1]), &want); err != nil || !slices.Equal(list, want) {
			t.Errorf("%s %q, %q there: %v", instruction, list, want, err)
		}
	}
	labels := regexp.MustCompile(`(org\.opencontainers\.\S+)="([^"]*)"`).FindAllStringSubmatch(final, -1)
	for _, l := range labels {
		if got := c.Config.Labels[l[1]]; got == "" || (!strings.HasPrefix(l[2], "$") && got != l[2]) {
			t.Errorf("%s is %q, %q there", l[1], got, l[2])
		}
	}
	if len(labels) != len(c.Config.Labels) {
		t.Errorf("labels %v, %d there", c.Config.Labels, len(labels))
	}
}

// A tree of git's with changes is no release, and no word is a version.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"init", "-q"}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "a"}} {
		if _, err := output(dir, nil, "git", args...); err != nil {
			t.Fatal(err)
		}
	}
	prepare := func(version, targets string) error { return (&release{version: version}).prepare(dir, targets) }
	if err := prepare("v1.2.3", own.String()); err != nil {
		t.Error(err)
	}
	for version, targets := range map[string]string{"1.2.3": own.String(), "v1.2": own.String(), "v1.2.3+a": own.String(), "v1.0.0": "windows/amd64", "v1.0.1": "linux/mips"} {
		if err := prepare(version, targets); err == nil {
			t.Errorf("%s for %s was taken", version, targets)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := prepare("v1.2.3", own.String()); err == nil || !strings.Contains(err.Error(), "new") {
		t.Errorf("a file that is not committed: %v", err)
	}
}
