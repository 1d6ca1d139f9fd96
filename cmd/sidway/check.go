package main

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway/config"
)

// check loads the settings as serve would, environment and all, and says what they come to. It connects to nothing.
func (c command) check(args []string) error {
	var s settings
	fs := flag.NewFlagSet("check", flag.ContinueOnError)
	s.add(fs, every)
	if wantsHelp, err := s.parse(fs, args); err != nil || wantsHelp {
		return c.helpOr(err, "check")
	}
	cfg, err := told(config.CheckWith(s.file, c.env, s.flags))
	if err != nil {
		return err
	}
	if cfg.Affinity.Redis != "" {
		client, err := affinity.Open(cfg.Affinity.Redis)
		if err != nil {
			return fmt.Errorf("affinity.redis: %w", err)
		}
		client.Close()
	}
	if p, ok := cfg.Everybody(); ok {
		fmt.Fprintf(c.stderr, "warning: trusted_proxies: %s is everybody, so clients choose their own address, and limits.client_connections does not hold; write the addresses of your balancers alone\n", p)
	}
	fmt.Fprintf(c.stdout, "%s: ok\n\n", cmp.Or(s.file, "settings"))
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	for _, s := range cfg.InForce() {
		fmt.Fprintf(w, "%s\t%s\n", s.Key, s.Value)
	}
	fmt.Fprintln(w)
	for _, cl := range cfg.Clusters {
		fmt.Fprintf(w, "cluster %s\t%s\t%s\n", cl.Name, routes(cl), cl.Balance)
		for _, s := range cl.InForce() {
			fmt.Fprintf(w, "  %s\t%s\n", s.Key, s.Value)
		}
		for _, n := range cl.Nodes {
			fmt.Fprintf(w, "  node %s\t%s\tweight %d%s\n", n.Name, n.URL, n.Weight, labels(n))
		}
	}
	return w.Flush()
}

// labels tells the labels of a node, each after a comma.
func labels(n config.Node) (text string) {
	for _, name := range slices.Sorted(maps.Keys(n.Labels)) {
		text += ", " + name + ": " + n.Labels[name]
	}
	return text
}

func routes(c config.Cluster) string {
	if len(c.Host) == 0 {
		return "any host " + c.Path
	}
	return strings.Join(c.Host, ", ") + " " + c.Path
}
