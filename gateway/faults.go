package gateway

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is a sign that clients, nodes, proxies or replicas are set up wrongly.
type Fault struct {
	Cluster string // "" where it belongs to none
	Reason  string // as in sidway_setup_faults_total
	Subject string // what it is about, where a cluster can have several: a node, a path, a host
	Text    string
	Count   uint64
	Last    time.Time
}

const (
	// faultTime is how long a fault is remembered that does not come again.
	faultTime = time.Hour
	// faultQuiet is after how long without it a fault has come again.
	faultQuiet = 2 * time.Minute
	// mostFaults bounds how many there are, since strangers name paths and hosts; those beyond are remembered without their subject.
	mostFaults = 128
)

// faults remembers what seems to be wrong, for those who ask later than it is logged.
type faults struct {
	all sync.Map // of faultKey: *fault
	len atomic.Int64
}

type faultKey struct{ cluster, reason, subject string }

type fault struct {
	text  atomic.Pointer[string] // the latest
	count atomic.Uint64
	last  atomic.Int64 // in ns since 1970
}

// note notes one more sign, and reports whether there was none for faultQuiet.
func (f *faults) note(k faultKey, text string) (again bool) {
	v, known := f.all.Load(k)
	if !known {
		if k.subject != "" && f.len.Load() >= mostFaults {
			k.subject = ""
		}
		if v, known = f.all.LoadOrStore(k, newFault(text)); !known {
			f.len.Add(1)
		}
	}
	return v.(*fault).came(text, time.Now())
}

func newFault(text string) *fault {
	f := &fault{}
	f.text.Store(&text)
	return f
}

// came notes one more sign, of which the text is mostly as before, and reports whether there was none for faultQuiet.
func (f *fault) came(text string, now time.Time) (again bool) {
	if *f.text.Load() != text {
		latest := text
		f.text.Store(&latest)
	}
	f.count.Add(1)
	return now.UnixNano()-f.last.Swap(now.UnixNano()) > int64(faultQuiet)
}

// has reports whether a fault is remembered.
func (f *faults) has(k faultKey) bool {
	_, known := f.all.Load(k)
	return known
}

// forget forgets what has turned out to be something else.
func (f *faults) forget(k faultKey) {
	if _, known := f.all.LoadAndDelete(k); known {
		f.len.Add(-1)
	}
}

// forgetNode forgets what is about a node, or about it and another, of which one had to be taken out.
func (f *faults) forgetNode(cluster, node string) {
	f.all.Range(func(key, _ any) bool {
		if k := key.(faultKey); k.cluster == cluster && slices.Contains(strings.Split(k.subject, " and "), node) {
			f.forget(k)
		}
		return true
	})
}

// list returns what was noted within faultTime, the latest first, and forgets the rest.
func (f *faults) list(now time.Time) (all []Fault) {
	f.all.Range(func(key, value any) bool {
		k, v := key.(faultKey), value.(*fault)
		last := time.Unix(0, v.last.Load()).UTC()
		if now.Sub(last) > faultTime {
			if f.all.CompareAndDelete(key, value) {
				f.len.Add(-1)
			}
			return true
		}
		all = append(all, Fault{k.cluster, k.reason, k.subject, *v.text.Load(), v.count.Load(), last})
		return true
	})
	slices.SortFunc(all, func(a, b Fault) int { return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Reason, b.Reason)) })
	return all
}

// Faults returns the signs of the last hour that something is set up wrongly, the latest first.
func (m *Metrics) Faults() []Fault { return m.seen.list(time.Now()) }

// SetupFault counts a sign that clients, nodes or replicas are set up wrongly. Reasons come from a closed set. subject is what it is
// about where a cluster can have several, and text says it in a sentence.
func (m *Metrics) SetupFault(cluster, reason, subject, text string) {
	m.faults.WithLabelValues(cluster, reason).Inc()
	if m.seen.note(faultKey{cluster, reason, subject}, text) && m.OnFault != nil && m.told.due(reason, cluster, subject) {
		m.OnFault(Fault{Cluster: cluster, Reason: reason, Subject: subject, Text: text, Count: 1, Last: time.Now()})
	}
}
