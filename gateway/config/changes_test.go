package config_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/config"
)

// whole is a configuration in which nothing is left out.
func whole() *config.Config {
	c := config.Default()
	c.Clusters = []config.Cluster{{
		Name: "chat", Health: &config.Health{}, NodeTLS: &config.NodeTLS{}, Static: []config.Static{{Prefix: "/a/", Dir: "a"}},
		Discover: &config.Discover{Kubernetes: &config.Kubernetes{}}, Headers: config.Headers{Set: []config.Header{{Name: "A", Value: "hush"}}},
		Nodes: []config.Node{{Name: "n1", URL: "http://a:1", Weight: 1}, {Name: "n2", URL: "http://b:1", Weight: 1}},
	}}
	return c
}

func TestChanges(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(*config.Config, *config.Cluster)
	}{
		{"", func(*config.Config, *config.Cluster) {}},
		{"limits.queue", func(c *config.Config, _ *config.Cluster) { c.Limits.Queue++ }},
		{"admin.token, affinity.redis", func(c *config.Config, _ *config.Cluster) { c.Admin.Token, c.Affinity.Redis = "hush", "redis://:hush@h" }},
		{"access_log, trusted_proxies", func(c *config.Config, _ *config.Cluster) { c.AccessLog, c.TrustedProxies = true, []netip.Prefix{{}} }},
		{"clusters[chat].health.fall", func(_ *config.Config, c *config.Cluster) { c.Health.Fall = 9 }},
		{"clusters[chat].health", func(_ *config.Config, c *config.Cluster) { c.Health = nil }},
		{"clusters[chat].discover.kubernetes.port", func(_ *config.Config, c *config.Cluster) { c.Discover.Kubernetes.Port = "x" }},
		{"clusters[chat].request_headers.set", func(_ *config.Config, c *config.Cluster) { c.Headers.Set[0].Value = "hush, too" }},
		{"clusters[chat].pace.burst, clusters[chat].nodes +n3 -n1 ~n2", func(_ *config.Config, c *config.Cluster) {
			c.Pace.Burst, c.Nodes = 9, []config.Node{{Name: "n3"}, {Name: "n2"}}
		}},
		{"clusters +talk -chat", func(_ *config.Config, c *config.Cluster) { c.Name = "talk" }},
		{"the order of clusters or nodes", func(_ *config.Config, c *config.Cluster) { c.Nodes[0], c.Nodes[1] = c.Nodes[1], c.Nodes[0] }},
		{"clusters[chat].nodes +99 -1 ~1", func(_ *config.Config, c *config.Cluster) {
			c.Nodes[0].Name, c.Nodes[1].Weight = "m", 9
			for i := range 98 {
				c.Nodes = append(c.Nodes, config.Node{Name: fmt.Sprint("m", i)})
			}
		}},
	} {
		now := whole()
		c.change(now, &now.Clusters[0])
		if got := config.Changes(whole(), now); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// However much has changed, one line tells of it.
func TestChangesAreBounded(t *testing.T) {
	before, now := whole(), whole()
	for i := range 100 {
		c := whole().Clusters[0]
		c.Name = fmt.Sprintf("a-cluster-with-a-long-name-%d", i)
		before.Clusters = append(before.Clusters, c)
		c.Pace.Burst = 9
		now.Clusters = append(now.Clusters, c)
	}
	got := config.Changes(before, now)
	if len(got) > 500 || !strings.HasPrefix(got, "clusters[a-cluster-with-a-long-name-0].pace.burst, ") || !strings.HasSuffix(got, "name-8].pace.burst and 91 more") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

// Each setting that there is has a key by which its change is told.
func TestEachChangeHasAKey(t *testing.T) {
	var paths []string
	walk(reflect.ValueOf(whole()).Elem(), "", func(path string, _ reflect.Value) { paths = append(paths, path) })
	if len(paths) < 60 {
		t.Fatalf("there are %d settings only", len(paths))
	}
	for _, path := range paths {
		now := whole()
		walk(reflect.ValueOf(now).Elem(), "", func(at string, v reflect.Value) {
			if at == path {
				other(v)
			}
		})
		if got := config.Changes(whole(), now); got == "" || strings.Contains(got, "order") {
			t.Errorf("%s: got %q", path, got)
		}
	}
}

// walk calls f for each value that has nothing below it.
func walk(v reflect.Value, path string, f func(string, reflect.Value)) {
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), path+"."+v.Type().Field(i).Name, f)
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		walk(v.Elem(), path, f)
	case v.Kind() == reflect.Slice && v.Len() > 0:
		walk(v.Index(0), path, f)
	default:
		f(path, v)
	}
}

// other gives v another value.
func other(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Uint32:
		v.SetUint(v.Uint() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem())
	default:
		v.SetInt(v.Int() + 1)
	}
}
