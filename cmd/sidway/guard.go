package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/guard"
)

// guard prints the rules by which nodes are kept from harm, and, with a configuration, what each cluster does by them.
func (c command) guard(args []string) error {
	var s settings
	fs := flag.NewFlagSet("guard", flag.ContinueOnError)
	fs.StringVar(&s.file, "config", "", "sidway.yaml")
	words, args := wordsOf(fs, args, 1)
	if wantsHelp, err := parse(fs, args); err != nil || wantsHelp {
		return c.helpOr(err, "guard")
	}
	if len(words) != 1 || words[0] != "list" {
		return &usageError{text: "say what of the guard: sidway guard list", help: "guard"}
	}
	var clusters []config.Cluster
	if s.file != "" {
		var err error
		if clusters, err = told(config.LoadClusters(s.file, c.env)); err != nil {
			return err
		}
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	for _, r := range guard.All() {
		about := r.About()
		stops := about.Stops
		for _, cl := range clusters {
			if r == guard.Attachments {
				stops += fmt.Sprintf("; at most %d in %s", cl.Guard.MaxAttachments, cl.Name)
			}
		}
		fmt.Fprintf(w, "%s\t%s\n", about.ID, stops)
		fmt.Fprintf(w, "\t%s (%s)\n", about.Saves, strings.Join(about.By, ", "))
		for _, cl := range clusters {
			does := "refuses such a request"
			if slices.Contains(cl.Guard.Report, about.ID) {
				does = "only reports it"
			}
			fmt.Fprintf(w, "\tcluster %s %s\n", cl.Name, does)
		}
	}
	return w.Flush()
}
