package discover_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/discover"
)

func TestPodsAreNodes(t *testing.T) {
	k := newKubeAPI(t)
	k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1 r s T", "chat-2=10.0.0.2", "chat-3=10.0.0.3 R S T"))
	l := run(t, k.inPod(discover.Kubernetes{}))
	l.list("chat-1=10.0.0.1:3001{z1}", "chat-2=10.0.0.2:3001{z1}")
	k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1 R s t", "chat-2=10.0.0.2 R S t", "chat-3=10.0.0.3 r s T"))
	l.list("chat-1=10.0.0.1:3001{z1}!", "chat-3=10.0.0.3:3001{z1}")
	k.put("chat-b", pods("IPv4", "chat-4=10.0.0.4 r"))
	l.list("chat-1=10.0.0.1:3001{z1}!", "chat-3=10.0.0.3:3001{z1}", "chat-4=10.0.0.4:3001{z1}")
	k.drop("chat-a")
	l.list("chat-4=10.0.0.4:3001{z1}")
	if got := k.requests(); !slices.Equal(got, []string{"list", "watch 11"}) {
		t.Errorf("asked %q", got)
	}
}

func TestSlicesMerge(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b string
		want []string
	}{
		{"two families", pods("IPv6", "chat-1=fd00::1", "chat-2=fd00::2"), pods("IPv4", "chat-1=10.0.0.1"), []string{"chat-1=10.0.0.1:3001{z1}", "chat-2=[fd00::2]:3001{z1}"}},
		{"families that differ for a moment", pods("IPv6", "chat-1=fd00::1 r s"), pods("IPv4", "chat-1=10.0.0.1 R S"), nil},
		{"a pod that moves", pods("IPv4", "chat-1=10.0.0.1 R S"), pods("IPv4", "chat-1=10.0.0.1 r s"), []string{"chat-1=10.0.0.1:3001{z1}"}},
		{"a pod that moves and is about to end", pods("IPv4", "chat-1=10.0.0.1 R s t"), pods("IPv4", "chat-1=10.0.0.1 r s T"), []string{"chat-1=10.0.0.1:3001{z1}"}},
		{"an address that was given again", pods("IPv4", "chat-1=10.0.0.1 R s t"), pods("IPv4", "chat-2=10.0.0.1 r s T"), []string{"chat-2=10.0.0.1:3001{z1}"}},
		{"not ready, but published", pods("IPv4", "chat-1=10.0.0.1 r S t"), `"endpoints":null`, []string{"chat-1=10.0.0.1:3001{z1}!"}},
		{"no pods", `"addressType":"IPv4","ports":[{"port":80}],"endpoints":[{"addresses":["192.0.2.7","192.0.2.8"]},{"addresses":[]}]`, `"addressType":"IPv4"`, []string{"192.0.2.7-80=192.0.2.7:80"}},
		{"other objects than pods", `"addressType":"IPv4","ports":[{"port":80}],"endpoints":[{"addresses":["192.0.2.7"],"targetRef":{"kind":"Node","name":"n"}}]`, `"addressType":"IPv4"`, []string{"192.0.2.7-80=192.0.2.7:80"}},
		{"a port for each slice", strings.ReplaceAll(pods("IPv4", "chat-1=10.0.0.1"), "3001", "4001"), pods("IPv4", "chat-2=10.0.0.2"), []string{"chat-1=10.0.0.1:4001{z1}", "chat-2=10.0.0.2:3001{z1}"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, order := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
				k := newKubeAPI(t)
				k.put("chat-a", order[0])
				k.put("chat-b", order[1])
				run(t, k.proxied(discover.Kubernetes{})).list(slices.Clone(c.want)...)
			}
		})
	}
}

func TestPorts(t *testing.T) {
	for port, want := range map[string]string{"": "10.0.0.1:3001", "alt": "10.0.0.1:3002", "8080": "10.0.0.1:8080"} {
		k := newKubeAPI(t)
		k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1"))
		run(t, k.proxied(discover.Kubernetes{Port: port})).list("chat-1=" + want + "{z1}")
	}
	k := newKubeAPI(t)
	k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1"))
	l := run(t, k.proxied(discover.Kubernetes{Port: "web"}))
	l.list()
	l.problem("prod/chat", `no TCP port called "web"`, `"http", "alt"`)
	k.put("chat-b", strings.Replace(pods("IPv4", "chat-1=10.0.0.1"), "alt", "web", 1))
	l.list("chat-1=10.0.0.1:3002{z1}")
	l.over()
}

func TestServiceThatDoesNotExist(t *testing.T) {
	k := newKubeAPI(t)
	l := run(t, k.inPod(discover.Kubernetes{}))
	l.list()
	l.problem("prod/chat", "is there such a Service")
	k.put("chat-a", pods("IPv4"))
	l.over()
}

func TestListInPages(t *testing.T) {
	k := newKubeAPI(t)
	k.paged = 2
	var want []string
	for i := range 5 {
		k.put(fmt.Sprintf("chat-s%d", i), pods("IPv4", fmt.Sprintf("chat-%d=10.0.0.%d", i, i)))
		want = append(want, fmt.Sprintf("chat-%d=10.0.0.%d:3001{z1}", i, i))
	}
	l := run(t, k.inPod(discover.Kubernetes{}))
	l.list(want...)
	k.drop("chat-s0")
	l.list(want[1:]...)
	if got := k.requests(); !slices.Equal(got, []string{"list", "list chat-s1", "list chat-s3", "watch 15"}) {
		t.Errorf("asked %q", got)
	}
}

// Whichever way a watch ends, the next one begins where it was, and only a version that the API has forgotten is a reason to list.
func TestWatchGoesOn(t *testing.T) {
	for _, how := range []string{"clean", "half", "500", "429"} {
		t.Run(how, func(t *testing.T) {
			k := newKubeAPI(t)
			k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1"))
			l := run(t, k.inPod(discover.Kubernetes{}))
			l.list("chat-1=10.0.0.1:3001{z1}")
			k.put("chat-a", pods("IPv4", "chat-2=10.0.0.2"))
			l.list("chat-2=10.0.0.2:3001{z1}")
			<-k.opened
			k.endWatches(how)
			<-k.opened
			k.put("chat-a", pods("IPv4", "chat-3=10.0.0.3"))
			l.list("chat-3=10.0.0.3:3001{z1}")
			for _, asked := range k.requests()[1:] {
				if !strings.HasPrefix(asked, "watch ") {
					t.Errorf("asked %q", asked)
				}
			}
		})
	}
}

func TestForgottenVersion(t *testing.T) {
	for _, asEvent := range []bool{false, true} {
		k := newKubeAPI(t)
		k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1"))
		k.put("chat-b", pods("IPv4", "chat-2=10.0.0.2"))
		l := run(t, k.inPod(discover.Kubernetes{}))
		l.list("chat-1=10.0.0.1:3001{z1}", "chat-2=10.0.0.2:3001{z1}")
		<-k.opened
		k.change(func() { // as after a compaction, with a slice deleted and one changed unseen
			k.store("chat-a", pods("IPv4", "chat-3=10.0.0.3"))
			delete(k.slices, "chat-b")
			k.events, k.oldest = nil, k.version
			k.refuse = []answer{{event: asEvent}}[:map[bool]int{true: 1}[asEvent]]
			k.endAll("half")
		})
		l.list("chat-3=10.0.0.3:3001{z1}")
		<-k.opened
		if got := k.requests(); !slices.Equal(got, []string{"list", "watch 12", "watch 12", "list", "watch 13"}) {
			t.Errorf("asked %q", got)
		}
	}
}

// A bookmark moves the version on, so that a quiet Service's is not forgotten.
func TestBookmark(t *testing.T) {
	k := newKubeAPI(t)
	k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1"))
	l := run(t, k.inPod(discover.Kubernetes{}))
	l.list("chat-1=10.0.0.1:3001{z1}")
	k.bookmark()
	k.put("chat-a", pods("IPv4", "chat-2=10.0.0.2")) // behind the bookmark, so it has been read
	l.list("chat-2=10.0.0.2:3001{z1}")
	<-k.opened
	k.bookmark()
	k.change(func() {
		k.oldest = k.version
		k.endAll("clean")
	})
	<-k.opened
	k.put("chat-a", pods("IPv4", "chat-3=10.0.0.3"))
	l.list("chat-3=10.0.0.3:3001{z1}")
	if got := k.requests(); !slices.Equal(got, []string{"list", "watch 11", "watch 212"}) {
		t.Errorf("asked %q", got)
	}
}

// An etcd restored from a backup has another past: the version is from a future that never comes.
func TestVersionFromTheFuture(t *testing.T) {
	k := newKubeAPI(t)
	k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1"))
	l := run(t, k.inPod(discover.Kubernetes{}))
	l.list("chat-1=10.0.0.1:3001{z1}")
	k.change(func() {
		k.refuse = slices.Repeat([]answer{{code: http.StatusGatewayTimeout}}, 5)
		k.slices = map[string]string{}
		k.store("chat-a", pods("IPv4", "chat-2=10.0.0.2"))
		k.events = nil
		k.endAll("half")
	})
	l.problem("504")
	l.list("chat-2=10.0.0.2:3001{z1}")
	l.over()
}

func TestForbidden(t *testing.T) {
	k := newKubeAPI(t)
	k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1"))
	k.refuse = []answer{{code: 403}, {code: 403}, {code: 403}}
	l := run(t, k.inPod(discover.Kubernetes{}))
	l.problem("list EndpointSlices in namespace prod", "{apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}", "a test refuses it")
	l.list("chat-1=10.0.0.1:3001{z1}")
	l.over()
	<-k.opened
	k.change(func() {
		k.refuse = []answer{{code: 403}}
		k.endAll("clean")
	})
	l.problem("watch EndpointSlices")
	l.over()
}

// Kubernetes replaces a token before it expires, and the old one is not known any more.
func TestTokenIsReadAgain(t *testing.T) {
	k := newKubeAPI(t)
	k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1"))
	l := run(t, k.inPod(discover.Kubernetes{}))
	l.list("chat-1=10.0.0.1:3001{z1}")
	k.change(func() {
		k.token = "t1"
		k.endAll("clean")
	})
	l.problem("401")
	k.write("token", "t1\n")
	l.over()
	k.put("chat-a", pods("IPv4", "chat-2=10.0.0.2"))
	l.list("chat-2=10.0.0.2:3001{z1}")
}

// It is told that the API wants to be left alone.
func TestRetryAfter(t *testing.T) {
	k := newKubeAPI(t)
	k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1"))
	k.refuse = []answer{{code: 429, after: "1"}}
	began := time.Now()
	l := run(t, k.inPod(discover.Kubernetes{}))
	l.problem("429")
	l.list("chat-1=10.0.0.1:3001{z1}")
	if passed := time.Since(began); passed < time.Second {
		t.Errorf("asked again after %v", passed)
	}
}

// A certificate by somebody else is refused, and a ca.crt that Kubernetes has replaced is read.
func TestAuthorityIsReadAgain(t *testing.T) {
	k := newKubeAPI(t)
	k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1"))
	d := k.inPod(discover.Kubernetes{})
	ca := k.read("ca.crt")
	k.write("ca.crt", stranger(t))
	l := run(t, d)
	l.problem("certificate")
	k.write("ca.crt", ca)
	l.list("chat-1=10.0.0.1:3001{z1}")
	l.over()
	if k.requests()[0] != "list" {
		t.Error("something was asked of a stranger")
	}
}

// kubectl proxy is told no token: what it is sent is not encrypted.
func TestNoTokenWithoutTLS(t *testing.T) {
	k := newKubeAPI(t)
	k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1"))
	run(t, k.proxied(discover.Kubernetes{Namespace: "prod"})).list("chat-1=10.0.0.1:3001{z1}")
}

func TestKubernetesSettingsThatCannotWork(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	refused(t, &discover.Kubernetes{Service: "chat"}, "this is no pod")
	refused(t, &discover.Kubernetes{Service: "chat", API: "127.0.0.1:8001", Namespace: "prod"}, "no URL of an API")
	refused(t, &discover.Kubernetes{Service: "chat", API: "http://127.0.0.1:8001", Account: t.TempDir()}, "the namespace of chat")
	refused(t, &discover.Kubernetes{API: "http://127.0.0.1:8001", Namespace: "prod"}, "no name")
}
