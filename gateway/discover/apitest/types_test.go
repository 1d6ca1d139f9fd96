// Package apitest checks the source of Kubernetes' nodes against Kubernetes itself.
package apitest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/sidway/sidway/gateway/discover"
)

func to[T any](v T) *T { return &v }

func slice(name, version string, endpoints ...discovery.Endpoint) *discovery.EndpointSlice {
	return &discovery.EndpointSlice{
		TypeMeta:    meta.TypeMeta{Kind: "EndpointSlice", APIVersion: discovery.SchemeGroupVersion.String()},
		ObjectMeta:  meta.ObjectMeta{Name: name, ResourceVersion: version, Labels: map[string]string{discovery.LabelServiceName: "chat"}},
		AddressType: discovery.AddressTypeIPv4,
		Endpoints:   endpoints,
		Ports: []discovery.EndpointPort{
			{Name: to("udp"), Protocol: to(core.ProtocolUDP), Port: to(int32(3000))},
			{Name: to("all")},
			{Name: to("http"), Protocol: to(core.ProtocolTCP), Port: to(int32(3001))},
		},
	}
}

func pod(name, address string, c discovery.EndpointConditions) discovery.Endpoint {
	return discovery.Endpoint{
		Addresses: []string{address}, Conditions: c, Zone: to("z1"), NodeName: to("n1"), Hostname: to("h1"),
		TargetRef: &core.ObjectReference{Kind: "Pod", Name: name, Namespace: "prod", UID: "u1"},
		Hints:     &discovery.EndpointHints{ForZones: []discovery.ForZone{{Name: "z2"}}},
	}
}

// What Kubernetes' types are as JSON is read as what they mean: pages, events, bookmarks, errors, and all of an endpoint.
func TestTypes(t *testing.T) {
	yes, no := to(true), to(false)
	list := discovery.EndpointSliceList{
		ListMeta: meta.ListMeta{ResourceVersion: "7", Continue: "more"},
		Items:    []discovery.EndpointSlice{*slice("a", "5", pod("chat-1", "10.0.0.1", discovery.EndpointConditions{}))},
	}
	rest := discovery.EndpointSliceList{
		ListMeta: meta.ListMeta{ResourceVersion: "7"},
		Items:    []discovery.EndpointSlice{*slice("b", "6", pod("chat-2", "10.0.0.2", discovery.EndpointConditions{Ready: no, Serving: no}))},
	}
	object := func(o runtime.Object) runtime.RawExtension { return runtime.RawExtension{Object: o} }
	events := map[string][]meta.WatchEvent{
		"7": {
			{Type: string(watch.Added), Object: object(slice("c", "8", pod("chat-3", "10.0.0.3", discovery.EndpointConditions{Ready: no, Serving: yes, Terminating: yes})))},
			{Type: string(watch.Modified), Object: object(slice("b", "9", pod("chat-2", "10.0.0.2", discovery.EndpointConditions{Ready: yes, Serving: yes, Terminating: no})))},
			{Type: string(watch.Deleted), Object: object(slice("a", "10"))},
			{Type: string(watch.Bookmark), Object: object(slice("", "20"))},
		},
		"20": {{Type: string(watch.Error), Object: object(&meta.Status{Status: meta.StatusFailure, Reason: meta.StatusReasonExpired, Code: http.StatusGone, Message: "too old"})}},
	}
	again := false
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		write := func(v any) { _ = json.NewEncoder(w).Encode(v) }
		var o meta.ListOptions
		q := r.URL.Query()
		if err := meta.Convert_url_Values_To_v1_ListOptions(&q, &o, nil); err != nil {
			t.Error(err)
		}
		switch {
		case o.LabelSelector != discovery.LabelServiceName+"=chat", o.Watch != (o.ResourceVersion != ""), o.Watch != o.AllowWatchBookmarks, o.Watch != (o.TimeoutSeconds != nil):
			t.Errorf("asked for %+v", o)
		case again:
			w.WriteHeader(http.StatusForbidden)
			write(meta.Status{Code: http.StatusForbidden, Message: "endpointslices is forbidden"})
		case o.Watch:
			again = o.ResourceVersion == "20"
			for _, e := range events[o.ResourceVersion] {
				write(e)
			}
		case o.Continue == "more":
			write(rest)
		case o.Limit > 0:
			write(list)
		}
	}))
	defer api.Close()

	ctx, cancel := context.WithCancel(t.Context())
	var told []string
	err := (&discover.Kubernetes{Service: "chat", Namespace: "prod", API: api.URL}).Run(ctx,
		func(nodes []discover.Found) { told = append(told, fmt.Sprint(nodes)) },
		func(err error) {
			if err != nil {
				told = append(told, err.Error())
				cancel()
			}
		})
	if err != nil {
		t.Error(err)
	}
	z1 := "map[zone:z1]"
	one, two, three := "{chat-1 10.0.0.1:3001 1 "+z1+" false}", "{chat-2 10.0.0.2:3001 1 "+z1+" false}", "{chat-3 10.0.0.3:3001 1 "+z1+" true}"
	want := []string{"[" + one + "]", "[" + one + " " + three + "]", "[" + one + " " + two + " " + three + "]", "[" + two + " " + three + "]"}
	if len(told) != 5 || !slices.Equal(told[:4], want) {
		t.Errorf("told %q, want %q and that it is forbidden", told, want)
	}
}
