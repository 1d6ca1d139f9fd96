package discover

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// AskPort makes d ask servers at a port that a test may listen on.
func (d *DNS) AskPort(port string) *DNS {
	d.port = port
	return d
}

// Hurry makes k wait so long after a first failure.
func (k *Kubernetes) Hurry(first time.Duration) *Kubernetes {
	k.retry = first
	return k
}

// Merge makes one list of slices, which are given as a JSON object by name.
func Merge(all []byte, port string) ([]Found, error) {
	var s map[string]slice
	if err := json.Unmarshal(all, &s); err != nil {
		return nil, err
	}
	return merge(s, port)
}

// Pauses are what follows on so many failures in a row, where a list is known or not.
func Pauses(known bool, n int) (all []time.Duration) {
	b, told := backoff{first: time.Second}, news{known: known}
	for range n {
		all = append(all, b.next(told.longest()))
	}
	return all
}

// Keeper returns what decides which nodes stay that an answer of DNS leaves out.
func Keeper() func(before, now []Found) ([]Found, bool) { return absences{}.keep }

// Service is what a DNS server's message says of a service, where no server is asked for more.
func Service(message []byte) (list []Found, ttl time.Duration, err error) {
	var m dns.Msg
	if err := m.Unpack(message); err != nil {
		return nil, 0, err
	}
	r := &resolver{conf: &dns.ClientConfig{}, hosts: net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("not asked")
	}}, full: map[string]string{}}
	s := services{known: map[string]target{}}
	return s.nodes(context.Background(), r, read(&m, dns.TypeSRV))
}

// Step is what followed from one answer of the API.
type Step struct {
	Lists [][]Found
	Pause time.Duration
	Err   error
}

// Watch takes a list and then a watch, as the API may answer.
func Watch(list, watch string) (steps [2]Step) {
	var now *Step
	k := &Kubernetes{Service: "chat"}
	w := watcher{k: k, api: &api{url: &url.URL{Scheme: "http", Host: "api"}, client: &http.Client{Transport: answers{"": list, "true": watch}}}}
	w.news = news{found: func(f []Found) { now.Lists = append(now.Lists, f) }, problem: func(error) {}}
	w.retry.first = time.Second
	for i := range steps {
		now = &steps[i]
		now.Pause, now.Err = w.step(context.Background())
	}
	return steps
}

// answers are the bodies of a list and of a watch.
type answers map[string]string

func (a answers) RoundTrip(q *http.Request) (*http.Response, error) {
	body := a[q.URL.Query().Get("watch")]
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: q}, nil
}
