package replica

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/config"
)

const (
	// compareEvery is how often a replica looks at what another one has written of its settings, and writes its own.
	compareEvery = 10 * time.Second
	// compareTTL is how long that stays: a replica that was ended is not to be compared with for long.
	compareTTL = 25 * time.Second
	// compareTime bounds one look.
	compareTime = 5 * time.Second
	// compareQuiet is how long the same difference is not told again.
	compareQuiet = time.Hour
)

// comparison finds out whether other replicas are set up as this one is, where they must be. They all write the same key in
// Redis in turn, so that each finds the other's value if it differs.
type comparison struct {
	cluster, reason, words string
	key, value             string
	list                   []string // what value stands for; nil: nothing that could be told apart
	seen                   bool     // another value was there at the last look
}

// comparisons are what must be the same in all replicas: the nodes of those that share a cluster's bindings, and where the
// bindings are of those that share the nodes, unless those are found by a name that means others elsewhere. The second key cannot
// stand below the prefix, which may be what differs.
func comparisons(cfg *config.Config) []*comparison {
	var all []*comparison
	byNodes := map[string]*comparison{} // one replica may have several clusters of the same nodes
	for _, c := range cfg.Clusters {
		list, prefix := listed(c), cfg.Affinity.Prefix+c.Name+":"
		nodes, routed := fingerprint(list), append(list, "path "+c.Path)
		all = append(all, &comparison{
			cluster: c.Name, reason: "node_list", words: "replicas have different nodes, addresses or paths for this cluster",
			key: prefix + "!nodes", value: fingerprint(routed), list: routed,
		})
		if c.Discover != nil && isBare(*c.Discover) {
			continue
		}
		if other := byNodes[nodes]; other != nil {
			other.value += "," + prefix
			continue
		}
		byNodes[nodes] = &comparison{
			cluster: c.Name, reason: "prefix", words: "another replica has the same nodes under another cluster's name or affinity.prefix, so its sessions are unknown here",
			key: config.Default().Affinity.Prefix + "!prefix:" + nodes, value: prefix,
		}
		all = append(all, byNodes[nodes])
	}
	return all
}

// isBare reports whether a source of nodes is named by what each network or namespace may have for itself.
func isBare(d config.Discover) bool {
	if d.Kubernetes != nil {
		return d.Kubernetes.Namespace == ""
	}
	host, _, _ := strings.Cut(d.DNS+d.SRV, ":")
	for strings.HasPrefix(host, "_") { // _sio._tcp
		_, host, _ = strings.Cut(host, ".")
	}
	return !strings.Contains(host, ".")
}

// listed is the nodes of a cluster, in order, and where others are found.
func listed(c config.Cluster) []string {
	var nodes []string
	for _, n := range c.Nodes {
		nodes = append(nodes, n.Name+" "+n.URL)
	}
	slices.Sort(nodes)
	if d := c.Discover; d != nil {
		nodes = append(nodes, "discover.dns "+d.DNS, "discover.srv "+d.SRV)
		if k := d.Kubernetes; k != nil {
			nodes = append(nodes, "discover.kubernetes "+strings.Join([]string{k.API, k.Namespace, k.Service, k.Port}, " "))
		}
	}
	return nodes
}

// fingerprint is the same for equal lists.
func fingerprint(list []string) string {
	sum := sha256.Sum256([]byte(strings.Join(list, "\n")))
	return hex.EncodeToString(sum[:8])
}

// mostDifferences is how many are told.
const mostDifferences = 3

// differences says in what the lists of two replicas differ, "" where that is not known.
func differences(here, there []string, self, other string) string {
	if len(there) == 0 {
		return ""
	}
	ours, theirs := byName(here), byName(there)
	names := slices.AppendSeq(slices.Collect(maps.Keys(ours)), maps.Keys(theirs))
	slices.Sort(names)
	var all []string
	for _, name := range slices.Compact(names) {
		our, isOurs := ours[name]
		their, isTheirs := theirs[name]
		switch {
		case !isTheirs:
			all = append(all, fmt.Sprintf("%.64s is at replica %s and not at %s", name, self, other))
		case !isOurs:
			all = append(all, fmt.Sprintf("%.64s is at replica %s and not at %s", name, other, self))
		case our != their:
			all = append(all, fmt.Sprintf("%.64s is %.128s at replica %s and %.128s at %s", name, cmp.Or(our, "nothing"), self, cmp.Or(their, "nothing"), other))
		}
	}
	if n := len(all) - mostDifferences; n > 0 {
		all = append(all[:mostDifferences], fmt.Sprintf("and %d more", n))
	}
	return strings.Join(all, ", ")
}

func byName(list []string) map[string]string {
	all := make(map[string]string, len(list))
	for _, line := range list {
		name, what, _ := strings.Cut(line, " ")
		all[name] = what
	}
	return all
}

// compare tells of replicas that are set up differently, until ctx is done.
func (r *Replica) compare(ctx context.Context) error {
	var cfg *config.Config
	var all []*comparison
	tick := time.NewTicker(compareEvery)
	defer tick.Stop()
	for {
		if now := r.cfg.Load(); now != cfg {
			cfg, all = now, comparisons(now)
		}
		for _, c := range all {
			r.compareOnce(ctx, c, r.name())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// compareOnce compares one setting. A Redis that cannot be asked, or does not let the user have this key, tells nothing.
func (r *Replica) compareOnce(ctx context.Context, c *comparison, host string) {
	client := r.board.Redis()
	if client == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, compareTime)
	defer cancel()
	found, err := client.Get(ctx, c.key).Result()
	if err := client.Set(ctx, c.key, strings.Join(append([]string{c.value + " " + host}, c.list...), "\n"), compareTTL).Err(); err != nil {
		r.log.Debug("settings cannot be compared with other replicas", "cluster", c.cluster, "error", err)
	}
	there := strings.Split(found, "\n")
	value, other, _ := strings.Cut(there[0], " ")
	again := c.seen
	c.seen = err == nil && value != c.value
	if !c.seen || !again { // once is what a replica finds that was started anew with other settings
		return
	}
	words := c.words
	other = fmt.Sprintf("%.64s", other)
	if d := differences(c.list, there[1:], host, other); c.list != nil && d != "" {
		words += ": " + d + ". Give all replicas the same: requests of a session fail where its node is missing, or its path. If that is another installation, give it another affinity.prefix"
	}
	r.metrics.SetupFault(c.cluster, c.reason, other, words)
	if r.compared.Due(c) {
		r.log.Warn(words, "cluster", c.cluster, "replica", other)
	}
}
