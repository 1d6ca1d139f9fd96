package control

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/config"
)

// Changes are what operators have changed of a cluster while it works. They hold until they are taken back, also when the
// configuration is read anew and for replicas that start later.
type Changes struct {
	Nodes   map[string]Node // added, replaced and taken away
	Drains  map[string]Drain
	Release *Release // in place of the configuration's share; nil: none
}

// Node is a node that was added or replaced, or taken away, by an operator.
type Node struct {
	URL     string            `json:"url,omitempty"`
	Weight  int               `json:"weight,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Removed bool              `json:"removed,omitempty"`
	Since   time.Time         `json:"since,omitzero"` // it was taken away; zero where that is not known
}

// Drain is that a node gets no new sessions, and since when. Its sessions are ended from Deadline on; the zero time: never.
type Drain struct {
	Since    time.Time `json:"since"`
	Deadline time.Time `json:"deadline,omitzero"`
}

// Release is the share of new sessions that goes to nodes with a label.
type Release struct {
	Label string  `json:"label"`
	Value string  `json:"value"`
	Share float64 `json:"share"` // 0 to 1
}

// A change is kept as a field: its kind and what it is of, as "drain n2", and its value as JSON.
const (
	fieldNode    = "node "
	fieldDrain   = "drain "
	fieldRelease = "release"
)

// parseChanges reads the fields of a cluster's record. What cannot be read is left out and told of by the error: another version
// may have written it.
func parseChanges(fields map[string]string) (c Changes, err error) {
	c = Changes{Nodes: map[string]Node{}, Drains: map[string]Drain{}}
	for field, value := range fields {
		kind, name, named := strings.Cut(field, " ")
		fault := error(nil)
		switch {
		case named && kind+" " == fieldNode:
			fault = put(c.Nodes, name, value)
		case named && kind+" " == fieldDrain:
			fault = put(c.Drains, name, value)
		case field == fieldRelease:
			var r Release
			if r, fault = parse[Release](field, value); fault == nil {
				c.Release = &r
			}
		case field != fieldRevision:
			fault = errors.New("unknown")
		}
		if fault != nil {
			err = fmt.Errorf("field %q: %w", field, fault)
		}
	}
	return c, err
}

func put[T checked](to map[string]T, name, value string) error {
	v, err := parse[T](name, value)
	if err == nil {
		to[name] = v
	}
	return err
}

// checked is the value of a field, which says what is wrong with it under a name.
type checked interface{ check(name string) error }

func parse[T checked](name, value string) (v T, err error) {
	if err = json.Unmarshal([]byte(value), &v); err == nil {
		err = v.check(name)
	}
	return v, err
}

func (n Node) check(name string) error {
	if n.Removed {
		return nil
	}
	_, err := config.NewNode(name, n.URL, n.Weight, n.Labels)
	return err
}

func (d Drain) check(string) error {
	if d.Since.IsZero() {
		return errors.New("nobody knows since when")
	}
	return nil
}

func (r Release) check(string) error {
	_, err := config.NewRelease(r.Label, r.Value, strconv.FormatFloat(100*r.Share, 'f', -1, 64)+"%")
	return err
}

// String says what the change does.
func (n Node) String() string {
	if n.Removed {
		return "node taken away"
	}
	return fmt.Sprintf("node at %s, weight %d", n.URL, cmp.Or(n.Weight, 1))
}

// String says what the change does.
func (d Drain) String() string {
	text := "drain: it gets no new sessions"
	if !d.Deadline.IsZero() {
		text += ", and those that it has are ended from " + d.Deadline.Local().Format(time.TimeOnly) + " on"
	}
	return text
}

// String says what the change does.
func (r Release) String() string {
	return fmt.Sprintf("release: nodes with %s: %s get %.4g %% of the new sessions", r.Label, r.Value, 100*r.Share)
}

// inWords says what a field does. One that another version has written is told by its kind.
func inWords(field, value string) string {
	c, _ := parseChanges(map[string]string{field: value})
	kind, name, _ := strings.Cut(field, " ")
	if n, ok := c.Nodes[name]; ok {
		return n.String()
	}
	if d, ok := c.Drains[name]; ok {
		return d.String()
	}
	if c.Release != nil {
		return c.Release.String()
	}
	return kind
}

// tellRemoved tells of nodes that the configuration has and that are not used.
func (b *Board) tellRemoved(n *Nodes) {
	removed := n.Removed()
	for _, name := range slices.Sorted(maps.Keys(removed)) {
		when := ""
		if at := removed[name]; !at.IsZero() {
			when = " on " + at.Local().Format(time.DateTime)
		}
		b.tell("node", n.Cluster.Name, name, "the configuration has this node, and it is not used: an operator has taken it away"+when+"; put it by the API to have it back")
	}
}

// tellChanged tells of what was changed at another replica.
func (b *Board) tellChanged(cluster string, before, after map[string]string) {
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, field := range slices.Sorted(maps.Keys(all)) {
		kind, name, _ := strings.Cut(field, " ")
		is, stands := after[field]
		switch {
		case field == fieldRevision || before[field] == is:
		case stands:
			b.tell(kind, cluster, name, "at another replica: "+inWords(field, is))
		case kind+" " == fieldDrain:
			b.tell("undrain", cluster, name, "at another replica: the drain was taken back")
		default:
			b.tell(kind, cluster, name, "at another replica: the "+kind+" was taken back")
		}
	}
}
