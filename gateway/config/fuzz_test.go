package config_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
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
	for _, p := range problems {
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
		if cl.Name == "" || len(cl.Nodes) == 0 || !strings.HasPrefix(cl.Path, "/") || !strings.HasSuffix(cl.Path, "/") {
			t.Errorf("not complete: %+v", cl)
		}
		for _, h := range append(cl.Host, "any")[:max(1, len(cl.Host))] {
			if routes[h+cl.Path] {
				t.Errorf("%s%s leads to two clusters", h, cl.Path)
			}
			routes[h+cl.Path] = true
		}
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
