package deploy_test

import (
	"net/url"
	"slices"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// kustomize is what `kubectl apply -k` of a directory would apply.
func kustomize(t *testing.T, dir string) objects {
	t.Helper()
	all, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := all.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	o := objects{}
	o.add(t, dir, string(text))
	return o
}

// leads demands that a Service leads to a port of the Deployment of the same name.
func (o objects) leads(t *testing.T, name string) (*core.Service, *apps.Deployment) {
	t.Helper()
	s, ok := o["Service "+name].(*core.Service)
	d, deployed := o["Deployment "+name].(*apps.Deployment)
	if !ok || !deployed {
		t.Fatalf("there is no Service or no Deployment %s", name)
	}
	for k, v := range s.Spec.Selector {
		if d.Spec.Template.Labels[k] != v || d.Spec.Selector.MatchLabels[k] != v {
			t.Errorf("Service %s selects %v, and the pods are %v", name, s.Spec.Selector, d.Spec.Template.Labels)
		}
	}
	p := s.Spec.Ports[0]
	if !slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Ports, func(c core.ContainerPort) bool {
		return c.Name == p.TargetPort.StrVal && c.ContainerPort == p.Port
	}) {
		t.Errorf("Service %s leads to %v, which no container has", name, p.TargetPort)
	}
	return s, d
}

// The example is a whole cluster: sidway finds the nodes, and both find Redis.
func TestKubernetesExample(t *testing.T) {
	o := kustomize(t, "../../examples/kubernetes")
	sidway, cfg := o.check(t, "sidway")
	nodes, chat := o.leads(t, "chat")
	o.leads(t, "redis")
	if k := cfg.Clusters[0].Discover.Kubernetes; k == nil || k.Service != nodes.Name || k.Port != "" && k.Port != nodes.Spec.Ports[0].Name {
		t.Errorf("sidway looks for %+v", cfg.Clusters[0].Discover)
	}
	c := chat.Spec.Template.Spec.Containers[0]
	for who, at := range map[string]string{"sidway": cfg.Affinity.Redis, "a node": c.Env[0].Value} {
		if u, err := url.Parse(at); err != nil || u.Hostname() != "redis" || u.Port() != "" && u.Port() != "6379" {
			t.Errorf("%s looks for %s", who, at)
		}
	}
	if *chat.Spec.Template.Spec.TerminationGracePeriodSeconds <= c.Lifecycle.PreStop.Sleep.Seconds {
		t.Errorf("a node is killed while it leaves")
	}
	for image, of := range map[string]*apps.Deployment{"registry.example.com/sidway:1": sidway, "registry.example.com/chat:1": chat} {
		if found := of.Spec.Template.Spec.Containers[0].Image; found != image {
			t.Errorf("%s runs %s, and the kustomization says %s", of.Name, found, image)
		}
	}
}

// deploy/kubernetes is what kustomize makes of it, with its settings.
func TestKustomization(t *testing.T) {
	kustomize(t, "../kubernetes").check(t, "sidway")
}
