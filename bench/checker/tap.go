//go:build linux

package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sidway/sidway/bench/checker/history"
	"github.com/sidway/sidway/bench/checker/stage"
)

// failures counts the answers that told clients of a fault here.
func failures(answers []stage.Answer) (n int) {
	for _, a := range answers {
		if a.Status >= http.StatusInternalServerError {
			n++
		}
	}
	return n
}

// strayed holds the replicas' own word against the nodes': a request that a node has served belongs to a session that it made.
func strayed(answers []stage.Answer, events []history.Event) (flaws []string) {
	made := map[string][]string{} // by what a replica tells of a sid: the nodes with such a session, more than one by chance
	for _, e := range events {
		if e.Tap == history.Node && e.Kind == history.Open {
			name, _, _ := strings.Cut(e.By, "/")
			for _, told := range []string{e.SID, e.SID[:min(4, len(e.SID))]} {
				made[told] = append(made[told], name)
			}
		}
	}
	for _, a := range answers {
		served := a.Status == http.StatusOK || a.Status == http.StatusSwitchingProtocols
		nodes := made[a.SID]
		if served && a.Node != "" && len(nodes) > 0 && !slices.Contains(nodes, a.Node) {
			flaws = append(flaws, fmt.Sprintf("%s says that %s served session %s, which %s made", a.Replica, a.Node, a.SID, nodes[0]))
		}
	}
	return flaws
}
