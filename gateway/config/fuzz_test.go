package config_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/config"
)

// FuzzLoad holds that no file makes Load panic, that a refusal says something, and that what is accepted can be used.
func FuzzLoad(f *testing.F) {
	f.Add(shape)
	if example, err := os.ReadFile("../../sidway.example.yaml"); err != nil {
		f.Fatal(err)
	} else {
		f.Add(string(example))
	}
	f.Add(every)
	for _, p := range slices.Concat(problems, clusterProblems) {
		f.Add(p.text)
	}
	file := filepath.Join(f.TempDir(), "sidway.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		verify(t, file, none)
	})
}

// FuzzNodes does the same for SIDWAY_NODES.
func FuzzNodes(f *testing.F) {
	for _, s := range []string{"n1=http://a:1;5,http://[::1]:2", "=;,", "http://a=b:1", "a=b=http://h:1;;", "http://[]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, nodes string) {
		verify(t, "", env(map[string]string{"SIDWAY_NODES": nodes}))
	})
}

func verify(t *testing.T, file string, environ []string) {
	c, err := config.Load(file, environ)
	var e *config.Error
	switch {
	case err == nil:
		usable(t, c)
	case !errors.As(err, &e) || len(e.Problems) == 0 || c != nil:
		t.Fatalf("got %v and %T %v", c, err, err)
	default:
		for _, p := range e.Problems {
			if p.Text == "" || strings.Contains(p.String(), "\n") {
				t.Errorf("a problem that cannot be read: %q", p)
			}
		}
	}
}

func usable(t *testing.T, c *config.Config) {
	if len(c.Listen) == 0 || len(c.Clusters) == 0 || c.Limits.HeaderTime <= 0 || c.Affinity.Cache < 1 {
		t.Errorf("not complete: %+v", c)
	}
	routes := map[string]bool{}
	for _, cl := range c.Clusters {
		if cl.Name == "" || len(cl.Nodes) == 0 && cl.Discover == nil || !strings.HasPrefix(cl.Path, "/") || !strings.HasSuffix(cl.Path, "/") {
			t.Errorf("not complete: %+v", cl)
		}
		for _, h := range append(cl.Host, "any")[:max(1, len(cl.Host))] {
			if routes[h+cl.Path] {
				t.Errorf("%s%s leads to two clusters", h, cl.Path)
			}
			routes[h+cl.Path] = true
		}
		usableTraffic(t, cl)
		names := map[string]bool{}
		for _, n := range cl.Nodes {
			host, port, err := net.SplitHostPort(n.Address())
			if err != nil || host == "" || port == "" || n.Weight < 1 || n.Weight > 1000 || n.Name == "" || names[n.Name] {
				t.Errorf("unusable: %+v", n)
			}
			names[n.Name] = true
		}
	}
}

// usableTraffic holds what those who act on a cluster's settings count on.
func usableTraffic(t *testing.T, c config.Cluster) {
	ok := (c.Balance == config.Hash) == (c.HashBy != "") && c.Pace.Handshakes >= 0 && c.Release.Share >= 0 && c.Release.Share <= 1
	if h := c.Health; h != nil {
		ok = ok && h.Timeout > 0 && h.Timeout <= h.Interval && h.Rise > 0 && h.Fall > 0 && (h.Path == "" || !h.Handshake)
	}
	if d := c.Discover; d != nil {
		ok = ok && d.Interval > 0 && (d.DNS != "" || d.SRV != "" || d.Kubernetes != nil && d.Kubernetes.Service != "")
	}
	for _, h := range c.Headers.Set {
		ok = ok && h.Name != "" && !strings.ContainsAny(h.Name+h.Value, "\r\n\x00")
	}
	for i, s := range c.Static {
		ok = ok && s.Dir != "" && strings.HasSuffix(s.Prefix, "/") && !strings.HasPrefix(c.Path, s.Prefix) &&
			(i == 0 || len(s.Prefix) <= len(c.Static[i-1].Prefix))
	}
	if !ok {
		t.Errorf("unusable: %+v", c)
	}
}
