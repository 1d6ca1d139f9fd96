package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/config"
)

// Settings that pages and examples show can be used. A part of settings is completed by a cluster and a node.
func TestSettingsOfThePages(t *testing.T) {
	block, key := regexp.MustCompile("(?s)```yaml\n(.*?)```"), regexp.MustCompile(`(?m)^([a-z_]+):`)
	var ours []string
	for _, k := range key.FindAllStringSubmatch(regexp.MustCompile(`(?m)^# ?`).ReplaceAllString(config.Example(), ""), -1) {
		ours = append(ours, k[1])
	}
	settings := map[string]string{}
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../examples/*/sidway.yaml", "../../deploy/kubernetes/sidway.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(f, ".yaml") {
				settings[string(text)] = f
			}
			for _, m := range block.FindAllStringSubmatch(string(text), -1) {
				if k := key.FindStringSubmatch(m[1]); k != nil && slices.Contains(ours, k[1]) {
					settings[m[1]] = f
				}
			}
		}
	}
	if len(settings) < 15 {
		t.Errorf("only %d settings are found", len(settings))
	}
	for text, file := range settings {
		whole := text
		if !strings.Contains(text, "clusters:") {
			whole += "clusters: [{name: chat, nodes: [\"http://127.0.0.1:3001\"]}]\n"
		} else if !strings.Contains(text, "nodes:") && !strings.Contains(text, "discover:") {
			whole += "    nodes: [\"http://127.0.0.1:3001\"]\n"
		}
		if strings.Contains(text, "proxy_protocol: true") {
			whole += "trusted_proxies: [10.0.0.11]\n"
		}
		_, err := config.Load(write(t, whole), none)
		if err == nil {
			continue
		}
		for line := range strings.Lines(err.Error()) {
			if !strings.Contains(line, "no such file") { // of certificates, and the log's folder
				t.Errorf("%s: %s\n%s", file, line, whole)
			}
		}
	}
}
