// Package deploy_test holds what stands in deploy against the types of those who read it.
package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

// objects are those of one installation, by kind and name.
type objects map[string]any

// add decodes documents strictly: an unknown field, or one twice, is an error.
func (o objects) add(t *testing.T, name, text string) {
	t.Helper()
	for _, document := range strings.Split("\n"+text, "\n---\n") {
		var meta struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		if err := yaml.Unmarshal([]byte(document), &meta); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, document)
		}
		if meta.Kind == "" {
			continue
		}
		into, known := map[string]any{
			"Deployment": &apps.Deployment{}, "Service": &core.Service{}, "ConfigMap": &core.ConfigMap{}, "ServiceAccount": &core.ServiceAccount{},
			"Role": &rbac.Role{}, "RoleBinding": &rbac.RoleBinding{}, "PodDisruptionBudget": &policy.PodDisruptionBudget{}, "ServiceMonitor": &monitoring.ServiceMonitor{},
		}[meta.Kind]
		if !known {
			t.Fatalf("%s: a %s", name, meta.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
			t.Errorf("%s: %v\n%s", name, err, document)
		}
		o[meta.Kind+" "+meta.Metadata.Name] = into
	}
}

// check demands what every installation has to have, and returns the settings.
func (o objects) check(t *testing.T, name string) (*apps.Deployment, *config.Config) {
	t.Helper()
	d := o["Deployment "+name].(*apps.Deployment)
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	labels := d.Spec.Template.Labels
	for what, selector := range map[string]map[string]string{
		"the Deployment": d.Spec.Selector.MatchLabels,
		"the Service":    o["Service "+name].(*core.Service).Spec.Selector, "the Service for Prometheus": o["Service "+name+"-admin"].(*core.Service).Spec.Selector,
	} {
		for k, v := range selector {
			if labels[k] != v || len(selector) == 0 {
				t.Errorf("%s selects %v, and the pods are %v", what, selector, labels)
			}
		}
	}
	ports := map[string]int32{}
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	for _, key := range []string{"Service " + name, "Service " + name + "-admin"} {
		if p := o[key].(*core.Service).Spec.Ports[0]; ports[p.TargetPort.StrVal] == 0 {
			t.Errorf("%s leads to %v, and there are %v", key, p.TargetPort, ports)
		}
	}
	if c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Port.StrVal != "admin" {
		t.Errorf("probes: %v %v", c.ReadinessProbe, c.LivenessProbe)
	}
	if !*pod.SecurityContext.RunAsNonRoot || !*c.SecurityContext.ReadOnlyRootFilesystem || *c.SecurityContext.AllowPrivilegeEscalation {
		t.Errorf("it may do more than it needs: %v %v", pod.SecurityContext, c.SecurityContext)
	}
	if o["ServiceAccount "+pod.ServiceAccountName] == nil {
		t.Errorf("there is no account %s", pod.ServiceAccountName)
	}
	file := filepath.Join(t.TempDir(), "sidway.yaml")
	text := o["ConfigMap "+pod.Volumes[0].ConfigMap.Name].(*core.ConfigMap).Data["sidway.yaml"]
	text = strings.ReplaceAll(text, "/etc/sidway-tls/", secrets(t, pod)+"/etc/sidway-tls/")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, []string{"PASSWORD=secret"})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, l := range cfg.Listen {
		if strings.HasPrefix(l.Address, "unix:") {
			continue
		}
		port := map[bool]string{true: "https", false: "http"}[l.TLS]
		if want := fmt.Sprint(":", ports[port]); !strings.HasSuffix(l.Address, want) {
			t.Errorf("%s leads to %s, and sidway listens on %s", port, want, l.Address)
		}
	}
	if !strings.HasSuffix(cfg.Admin.Listen, fmt.Sprint(":", ports["admin"])) || strings.HasPrefix(cfg.Admin.Listen, "127.") {
		t.Errorf("probes do not reach %s", cfg.Admin.Listen)
	}
	var variables []string
	for _, v := range c.Env {
		variables = append(variables, v.Name)
	}
	if !cfg.Admin.OpenMetrics && !slices.Contains(variables, "SIDWAY_ADMIN_TOKEN") {
		t.Error("Prometheus gets no metrics")
	}
	took := cfg.Shutdown.Notice.Seconds() + cfg.Shutdown.Deadline.Seconds()
	if l := c.Lifecycle; l != nil {
		took += float64(l.PreStop.Sleep.Seconds)
	}
	if float64(*pod.TerminationGracePeriodSeconds) <= took {
		t.Errorf("the end takes %v s and is given %d", took, *pod.TerminationGracePeriodSeconds)
	}
	return d, cfg
}

// secrets makes the files that a pod's container has of its Secrets, each a certificate, below a directory.
func secrets(t *testing.T, pod core.PodSpec) (dir string) {
	t.Helper()
	dir = t.TempDir()
	authority := keyfiletest.NewAuthority(t, "a")
	for _, v := range pod.Volumes {
		if v.Secret == nil {
			continue
		}
		i := slices.IndexFunc(pod.Containers[0].VolumeMounts, func(m core.VolumeMount) bool { return m.Name == v.Name && m.SubPath == "" })
		if i < 0 {
			t.Fatalf("Secret %s is not mounted, or by a subPath, which is not followed", v.Secret.SecretName)
		}
		at := filepath.Join(dir, pod.Containers[0].VolumeMounts[i].MountPath)
		if err := os.MkdirAll(at, 0o700); err != nil {
			t.Fatal(err)
		}
		issued := authority.Issue(t, keyfiletest.Request{Names: []string{v.Secret.SecretName}})
		keyfiletest.File(t, at, "tls.crt", issued.Cert)
		keyfiletest.File(t, at, "tls.key", issued.Key)
	}
	return dir
}

func TestKubernetes(t *testing.T) {
	const dir = "../kubernetes/"
	text, err := os.ReadFile(dir + "kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var k struct {
		Resources          []string
		ConfigMapGenerator []struct {
			Name  string
			Files []string
		}
	}
	if err := yaml.Unmarshal(text, &k); err != nil {
		t.Fatal(err)
	}
	o := objects{}
	for _, name := range k.Resources {
		b, err := os.ReadFile(dir + name)
		if err != nil {
			t.Fatal(err)
		}
		o.add(t, name, string(b))
	}
	settings, err := os.ReadFile(dir + k.ConfigMapGenerator[0].Files[0])
	if err != nil {
		t.Fatal(err)
	}
	o["ConfigMap "+k.ConfigMapGenerator[0].Name] = &core.ConfigMap{Data: map[string]string{k.ConfigMapGenerator[0].Files[0]: string(settings)}}
	o.check(t, "sidway")
	checkRole(t, o["Role sidway"].(*rbac.Role))
	if o["PodDisruptionBudget sidway"] == nil {
		t.Error("no disruption budget")
	}
	files, _ := filepath.Glob(dir + "*.yaml")
	if len(files) != len(k.Resources)+2 {
		t.Errorf("not all of %v is in the kustomization", files)
	}
}

// checkRole demands that it lets its holder see endpointslices, and nothing else.
func checkRole(t *testing.T, r *rbac.Role) {
	t.Helper()
	want := []rbac.PolicyRule{{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list", "watch"}}}
	if !reflect.DeepEqual(r.Rules, want) {
		t.Errorf("rules: %v", r.Rules)
	}
}

// render is what `helm install edge` would apply.
func render(t *testing.T, values string) objects {
	t.Helper()
	chart, err := loader.LoadDir("../helm/sidway")
	if err != nil {
		t.Fatal(err)
	}
	if err := chart.Validate(); err != nil {
		t.Fatal(err)
	}
	v, err := chartutil.ReadValuesFile(values)
	if err != nil {
		t.Fatal(err)
	}
	all, err := chartutil.ToRenderValues(chart, v, chartutil.ReleaseOptions{Name: "edge", Namespace: "chat", IsInstall: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := engine.Engine{Strict: true}
	files, err := e.Render(chart, all)
	if err != nil {
		t.Fatal(err)
	}
	o := objects{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".yaml") {
			o.add(t, name, files[name])
		}
	}
	return o
}

func TestChart(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.yaml")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for values, kinds := range map[string]string{
		empty:                      "ConfigMap Deployment PodDisruptionBudget Role RoleBinding Service Service ServiceAccount",
		"testdata/everything.yaml": "ConfigMap Deployment PodDisruptionBudget Role RoleBinding Service Service ServiceAccount ServiceMonitor",
		"testdata/bare.yaml":       "ConfigMap Deployment Service Service ServiceAccount",
		"testdata/tls.yaml":        "ConfigMap Deployment PodDisruptionBudget Role RoleBinding Service Service ServiceAccount",
		"testdata/ports.yaml":      "ConfigMap Deployment PodDisruptionBudget Role RoleBinding Service Service ServiceAccount",
		"testdata/acme.yaml":       "ConfigMap Deployment PodDisruptionBudget Role RoleBinding Service Service ServiceAccount",
	} {
		o := render(t, values)
		d, cfg := o.check(t, "edge-sidway")
		var found []string
		for key := range o {
			kind, _, _ := strings.Cut(key, " ")
			found = append(found, kind)
		}
		slices.Sort(found)
		if strings.Join(found, " ") != kinds {
			t.Errorf("%s: %v", values, found)
		}
		if r, ok := o["Role edge-sidway"].(*rbac.Role); ok {
			checkRole(t, r)
		}
		if m, ok := o["ServiceMonitor edge-sidway"].(*monitoring.ServiceMonitor); ok {
			checkMonitor(t, m, o["Service edge-sidway-admin"].(*core.Service))
			if a := m.Spec.Endpoints[0].Authorization; a == nil || a.Credentials.Name != "sidway-admin" || a.Credentials.Key != "token" || cfg.Admin.OpenMetrics {
				t.Errorf("Prometheus asks with %+v, and the metrics are open: %v", a, cfg.Admin.OpenMetrics)
			}
			if image := d.Spec.Template.Spec.Containers[0].Image; !strings.HasSuffix(image, ":1.2.3") || *d.Spec.Replicas != 3 {
				t.Errorf("image %s, replicas %d", image, *d.Spec.Replicas)
			}
			if cfg.Affinity.Redis != "redis://:secret@redis:6379/0" {
				t.Errorf("the password is not put in: %s", cfg.Affinity.Redis)
			}
		}
	}
}

// What speaks TLS has a port of the Service, Secrets are followed, and what ACME obtains is shared by the replicas.
func TestChartWithTLS(t *testing.T) {
	port := func(o objects) int32 {
		for _, p := range o["Service edge-sidway"].(*core.Service).Spec.Ports {
			if p.Name == "https" && p.TargetPort.StrVal == "https" {
				return p.Port
			}
		}
		return 0
	}
	o := render(t, "testdata/tls.yaml")
	d, cfg := o.check(t, "edge-sidway")
	var names, mounts []string
	for _, c := range cfg.TLS.Certificates {
		names = append(names, filepath.Base(filepath.Dir(c.Cert))+" "+filepath.Base(c.Cert)+" "+filepath.Base(c.Key))
	}
	for _, m := range d.Spec.Template.Spec.Containers[0].VolumeMounts {
		mounts = append(mounts, m.Name)
	}
	if want := []string{"chat.example.com tls.crt tls.key", "example-org tls.crt tls.key"}; !slices.Equal(names, want) || cfg.TLS.MinVersion != "1.3" || port(o) != 8443 {
		t.Errorf("certificates %v, port %d, %+v", names, port(o), cfg.TLS)
	}
	if len(cfg.Listen) != 2 || cfg.Listen[0].Redirect != "https" || !cfg.Listen[1].TLS {
		t.Errorf("it listens on %v", cfg.Listen)
	}
	if !slices.Equal(mounts, []string{"settings", "tls-0", "tls-1", "files"}) || d.Spec.Template.Spec.Volumes[3].ConfigMap.Name != "files" {
		t.Errorf("mounts: %v", mounts)
	}
	if c := d.Spec.Template.Spec.SecurityContext; c.FSGroup == nil || *c.FSGroup != 65532 || c.SeccompProfile == nil {
		t.Errorf("security: %+v", c)
	}
	o = render(t, "testdata/acme.yaml")
	_, cfg = o.check(t, "edge-sidway")
	if cfg.TLS.ACME.Storage != config.StorageRedis || len(cfg.Listen) != 1 || port(o) != 443 {
		t.Errorf("%+v, listens on %v, port %d", cfg.TLS.ACME, cfg.Listen, port(o))
	}
	if o = render(t, "testdata/bare.yaml"); port(o) != 0 {
		t.Errorf("without TLS there is port %d", port(o))
	}
}

func checkMonitor(t *testing.T, m *monitoring.ServiceMonitor, s *core.Service) {
	t.Helper()
	for k, v := range m.Spec.Selector.MatchLabels {
		if s.Labels[k] != v {
			t.Errorf("it selects %v, and the Service is %v", m.Spec.Selector.MatchLabels, s.Labels)
		}
	}
	if m.Spec.Endpoints[0].Port != s.Spec.Ports[0].Name {
		t.Errorf("it asks port %s", m.Spec.Endpoints[0].Port)
	}
}
