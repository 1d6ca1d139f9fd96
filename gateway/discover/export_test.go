package discover

import (
	"encoding/json"
	"time"
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
