package main_test

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/sidway/sidway/gateway/config"
)

// What the services of examples/compose and of compose/scale.yaml name is there: the programs that are built, the files that are
// mounted, the services that sidway's settings look for, on the ports that they have.
func TestComposeExamplesAreWhole(t *testing.T) {
	for _, file := range composeFiles[1:] {
		p := readCompose(t, file)
		for name, s := range p.Services {
			if s.Build != nil {
				text, err := os.ReadFile(filepath.Join(s.Build.Context, s.Build.Dockerfile))
				if err != nil {
					t.Fatal(err)
				}
				checkDockerfile(t, s.Build, string(text))
			}
			if s.Image == "sidway" {
				checkSidway(t, p, name)
			}
		}
	}
}

// checkSidway loads the settings of a replica, and compares them with what is around it.
func checkSidway(t *testing.T, p *types.Project, name string) {
	t.Helper()
	s := p.Services[name]
	i := slices.Index(s.Command, "--config")
	if i < 0 || i+1 == len(s.Command) {
		t.Fatalf("%s runs %v", name, s.Command)
	}
	at := s.Command[i+1]
	i = slices.IndexFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == at })
	if i < 0 {
		t.Fatalf("%s has no %s", name, at)
	}
	cfg, err := config.Load(s.Volumes[i].Source, nil)
	if err != nil {
		t.Fatal(err)
	}
	if test := strings.Join(s.HealthCheck.Test, " "); test != "CMD sidway health --config "+at {
		t.Errorf("%s has the health check %s", name, test)
	}
	if took := cfg.Shutdown.Notice + cfg.Shutdown.Deadline; s.StopGracePeriod != nil && took >= time.Duration(*s.StopGracePeriod) {
		t.Errorf("%s takes %v to end and is given %v", name, took, *s.StopGracePeriod)
	}
	_, listens, _ := net.SplitHostPort(cfg.Listen[0].Address)
	if len(s.Ports) == 0 || slices.IndexFunc(s.Ports, func(c types.ServicePortConfig) bool { return listens == "8080" && c.Target == 8080 }) < 0 {
		t.Errorf("%s listens on %s and publishes %v", name, listens, s.Ports)
	}
	if _, there := p.Services["redis"]; !there || !strings.HasPrefix(cfg.Affinity.Redis, "redis://redis:6379/") {
		t.Errorf("%s looks for %s", name, cfg.Affinity.Redis)
	}
	host, port, _ := net.SplitHostPort(cfg.Clusters[0].Discover.DNS)
	nodes, there := p.Services[host]
	if !there || nodes.Build == nil {
		t.Fatalf("%s looks for %s", name, cfg.Clusters[0].Discover.DNS)
	}
	text, err := os.ReadFile(filepath.Join(nodes.Build.Context, nodes.Build.Dockerfile))
	if err != nil || !regexp.MustCompile(`(?m)^EXPOSE `+port+`$`).Match(text) {
		t.Errorf("the image of %s does not listen on %s (%v)", host, port, err)
	}
}
