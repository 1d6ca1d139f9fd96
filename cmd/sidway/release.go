package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"

	"github.com/sidway/sidway/gateway/api"
)

// release has a share of the new sessions go to the nodes of a version.
func (c command) release(ctx context.Context, args []string) error {
	var s settings
	var cluster, label string
	fs := flag.NewFlagSet("release", flag.ContinueOnError)
	s.addRemote(fs)
	fs.StringVar(&cluster, "cluster", "", "chat")
	fs.StringVar(&label, "label", "version", "version")
	words, args := wordsOf(fs, args, 2)
	if wantsHelp, err := parse(fs, args); err != nil || wantsHelp {
		return c.helpOr(err, "release")
	}
	if len(words) != 2 && (len(words) != 1 || words[0] != "off") {
		return &usageError{text: "say which version and its share, as sidway release v2 10%, or sidway release off", help: "release"}
	}
	r, err := c.remote(s, true)
	if err != nil {
		return err
	}
	if cluster == "" {
		if cluster, err = r.onlyCluster(ctx); err != nil {
			return err
		}
	}
	path, answer := "/api/clusters/"+url.PathEscape(cluster)+"/release", api.Cluster{}
	if len(words) == 1 {
		err = r.ask(ctx, http.MethodDelete, path, nil, &answer)
	} else {
		err = r.ask(ctx, http.MethodPut, path, api.Release{Label: label, Value: words[0], Share: words[1]}, &answer)
	}
	if err != nil {
		return err
	}
	if r := answer.Release; r != nil {
		fmt.Fprintf(c.stdout, "nodes of %s with %s: %s get %s of the new sessions\n", cluster, r.Label, r.Value, r.Share)
	} else {
		fmt.Fprintf(c.stdout, "new sessions of %s go to all nodes\n", cluster)
	}
	return nil
}

// reload has a replica read its settings again.
func (c command) reloadRemote(ctx context.Context, args []string) error {
	var s settings
	fs := flag.NewFlagSet("reload", flag.ContinueOnError)
	s.addRemote(fs)
	if wantsHelp, err := parse(fs, args); err != nil || wantsHelp {
		return c.helpOr(err, "reload")
	}
	r, err := c.remote(s, true)
	if err != nil {
		return err
	}
	var done api.Done
	if err := r.ask(ctx, http.MethodPost, "/api/reload", nil, &done); err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, "the settings are read again")
	return nil
}
