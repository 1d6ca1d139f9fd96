package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/config"
)

func TestOrigins(t *testing.T) {
	load := func(lines string) (*config.Config, error) {
		return config.Load(write(t, "clusters:\n  - name: a\n    nodes: [{name: n, url: 'http://h:1'}]\n"+lines), none)
	}
	c, err := load("    origins: [https://a.example, '*.b.example', 'c.example:8080', 'null']\n    cors: {origins: ['*'], max_age: 10m}\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Clusters[0]; !slices.Equal(got.Origins, []string{"https://a.example", "*.b.example", "c.example:8080", "null"}) || got.CORS == nil || got.CORS.Credentials {
		t.Errorf("got %+v", got)
	}
	for lines, want := range map[string]string{
		"    origins: [https://a.example/]\n":              "is not an origin",
		"    origins: ['https://*']\n":                     "is not an origin",
		"    origins: [a.*.example]\n":                     "is not an origin",
		"    origins: ['https://a.example:443']\n":         "browsers leave out",
		"    cors: {credentials: true}\n":                  "cors.origins",
		"    cors: {origins: ['*'], credentials: true}\n":  "any page on the internet",
		"    cors: {origins: [https://u@a.example]}\n":     "is not an origin",
		"    cors: {origins: ['https://a.example?x=1']}\n": "is not an origin",
	} {
		if _, err := load(lines); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", lines, err)
		}
	}
}
