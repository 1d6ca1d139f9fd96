package discover_test

import (
	"testing"

	"github.com/sidway/sidway/gateway/discover"
	"github.com/sidway/sidway/gateway/nodename"
)

// Whatever slices hold, each node is in the list once, and so is each address.
func FuzzMerge(f *testing.F) {
	a, b := pods("IPv4", "chat-1=10.0.0.1 r s T", "chat-2=10.0.0.2 R s t"), pods("IPv6", "chat-1=fd00::1", "chat-3=10.0.0.2")
	f.Add(`{"a":{`+a+`},"b":{`+b+`}}`, "http")
	f.Add(`{"a":{`+b+`},"b":{"endpoints":[{"addresses":["10.0.0.1"],"targetRef":null}],"ports":[{}]}}`, "80")
	f.Add(`{"a":null,"b":{"ports":null,"endpoints":[{}]}}`, "")
	f.Fuzz(func(t *testing.T, all, port string) {
		list, _ := discover.Merge([]byte(all), port)
		seen := map[string]bool{}
		for _, n := range list {
			if seen["name "+n.Name] || seen["address "+n.Address] || !nodename.Valid(n.Name) || n.Weight != 1 {
				t.Fatalf("%+v in %+v", n, list)
			}
			seen["name "+n.Name], seen["address "+n.Address] = true, true
		}
	})
}
