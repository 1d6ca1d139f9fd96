package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/notice"
)

// page writes a status for people.
type page struct {
	color         bool
	width, height int // of the terminal; 0: no limit
}

// SGR parameters of ECMA-48, 8.3.117.
const (
	plain  = ""
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

var levelColors = map[string]string{"bad": red, "warn": yellow}

// warmShare is the share of its weight by which a node is picked that has warmed up.
const warmShare = 0.999

// barLength is how long the bar of the node with most sessions is.
const barLength = 12

// of returns the page of a status. before is the one before, nil if there is none: then no rate is known.
func (p page) of(before, now *api.Status) string {
	var b strings.Builder
	color := green
	if len(now.Problems) > 0 {
		color = cmp.Or(levelColors[now.Problems[0].Level], green)
	}
	b.WriteString(p.paint(color, now.Headline) + "\n")
	for i, v := range now.Problems {
		if i > 0 || !strings.HasPrefix(now.Headline, strings.TrimRight(v.Text, ".")) { // else the headline has said it
			b.WriteString("  " + p.paint(levelColors[v.Level], fmt.Sprintf("%-4s", v.Level)) + "  " + v.Text + "\n")
		}
	}
	r, store := now.Replica, now.Store.Kind
	if !now.Store.Up {
		store += " (cannot be used)"
	}
	fmt.Fprintf(&b, "\n%s  %s, up %s, %s connections (limit %s), %s WebSockets, bindings in %s\n", p.paint(bold, r.Name), cmp.Or(r.Version, "of no version"),
		age(now.At.Sub(r.Started)), notice.Thousands(int(r.Connections)), notice.Thousands(int(r.Limit)), notice.Thousands(r.Tunnels), store)
	for i := range now.Clusters {
		c := &now.Clusters[i]
		b.WriteString("\n" + p.cluster(ratesOf(before, now, c), c))
	}
	if len(now.Replicas) > 1 {
		b.WriteString("\n" + p.replicas(now))
	}
	return p.fit(b.String())
}

// rates makes rates of two statuses of a cluster.
type rates struct {
	before, now *api.Cluster // before is nil where they are not known
	seconds     float64
	at          time.Time // of now
}

func ratesOf(before, now *api.Status, cluster *api.Cluster) rates {
	r := rates{now: cluster, at: now.At}
	if before != nil && before.At.Before(now.At) {
		if i := slices.IndexFunc(before.Clusters, func(c api.Cluster) bool { return c.Name == cluster.Name }); i >= 0 {
			r.before, r.seconds = &before.Clusters[i], now.At.Sub(before.At).Seconds()
		}
	}
	return r
}

// of returns by how much a total grows in a second.
func (r rates) of(total func(*api.Cluster) uint64) string {
	if r.before == nil {
		return "-"
	}
	now, before := total(r.now), total(r.before)
	return fmt.Sprintf("%.1f", float64(now-min(now, before))/r.seconds)
}

// span says over how long rates are, where that is not the last second.
func (r rates) span() string {
	if r.before == nil || r.seconds < 5 {
		return ""
	}
	return fmt.Sprintf(" (of the last %.0f s)", r.seconds)
}

// ofNode does so for a total of a node.
func (r rates) ofNode(name string, total func(api.Node) uint64) string {
	return r.of(func(c *api.Cluster) uint64 {
		if i := slices.IndexFunc(c.Nodes, func(n api.Node) bool { return n.Name == name }); i >= 0 {
			return total(c.Nodes[i])
		}
		return 0
	})
}

// cluster is the part about one cluster: its nodes, those that somebody has to look at first.
func (p page) cluster(r rates, c *api.Cluster) string {
	sessions, polling, most := 0, 0, 1
	for _, n := range c.Nodes {
		sessions, polling, most = sessions+n.Total, polling+n.Polls, max(most, n.Total)
	}
	facts := []string{
		fmt.Sprintf("%s sessions: %s by WebSocket, %s poll", notice.Thousands(sessions), notice.Thousands(sessions-polling), notice.Thousands(polling)),
		r.of(func(c *api.Cluster) uint64 { return c.Handshakes.Made }) + " new/s",
		r.of(func(c *api.Cluster) uint64 { return c.Ended }) + " ended/s" + r.span(),
		"upgrades accepted by nodes " + share(int(c.Upgrades.Made), int(c.Upgrades.Made+c.Upgrades.Refused)),
		"older than 30 s and polling " + share(c.Old.Polling, c.Old.All),
	}
	if c.Mute > 0 {
		facts = append(facts, notice.Thousands(int(c.Mute))+" WebSockets carried nothing")
	}
	if c.Waiting > 0 {
		facts = append(facts, notice.Thousands(int(c.Waiting))+" wait for their turn")
	}
	if c.Release != nil {
		facts = append(facts, fmt.Sprintf("release %s: %s gets %s", c.Release.Label, c.Release.Value, c.Release.Share))
	}
	head := fmt.Sprintf("%s  %s%s, %s\n  %s\n", p.paint(bold, c.Name), strings.Join(c.Hosts, ","), c.Path, c.Balance, strings.Join(facts, "; "))
	if causes := endsOf(r, c); causes != "" {
		head += "  WebSockets ended: " + causes + "\n"
	}
	if moves := movesOf(c); moves != "" {
		head += "  sessions moved to other nodes by this replica: " + moves + "\n"
	}
	t := table{{{text: "NODE"}, {text: "STATE"}, {text: "WEIGHT"}, {text: "SESSIONS"}, {}, {text: "POLLING"}, {text: "NEW/S"}, {text: "ERRORS/S"}, {text: "PROBE"}}}
	for _, n := range slices.SortedStableFunc(slices.Values(c.Nodes), func(a, b api.Node) int { return cmp.Compare(gravity(&a), gravity(&b)) }) {
		state, color := stateOf(&n, r.at)
		t = append(t, []cell{
			{text: n.Name},
			{text: state, color: color},
			{text: weight(n.Share), right: true},
			{text: notice.Thousands(n.Total), right: true},
			{text: strings.Repeat("#", (n.Total*barLength+most-1)/most), color: dim},
			{text: notice.Thousands(n.Polls), right: true},
			{text: r.ofNode(n.Name, func(n api.Node) uint64 { return n.Handshakes }), right: true},
			{text: r.ofNode(n.Name, func(n api.Node) uint64 { return n.Errors }), right: true},
			{text: probeOf(n.Probe)},
		})
	}
	return head + p.table(t)
}

// endsOf tells how fast WebSockets end, by cause.
func endsOf(r rates, c *api.Cluster) string {
	var causes []string
	for _, cause := range slices.Sorted(maps.Keys(c.Ends)) {
		if rate := r.of(func(c *api.Cluster) uint64 { return c.Ends[cause] }); rate != "-" && rate != "0.0" {
			causes = append(causes, fmt.Sprintf("%s %s/s", cause, rate))
		}
	}
	return strings.Join(causes, ", ")
}

// movesOf tells what became of sessions that were to go on at another node.
func movesOf(c *api.Cluster) string {
	var all []string
	for _, outcome := range slices.Sorted(maps.Keys(c.Moves)) {
		if n := c.Moves[outcome]; n > 0 {
			all = append(all, fmt.Sprintf("%s %s", outcome, notice.Thousands(int(n))))
		}
	}
	return strings.Join(all, ", ")
}

func (p page) replicas(now *api.Status) string {
	t := table{{{text: "REPLICA"}, {text: "VERSION"}, {text: "UP"}, {text: "CONNECTIONS"}, {text: "WEBSOCKETS"}, {text: "STATE"}}}
	for _, v := range now.Replicas {
		state, color := "ready", green
		switch {
		case v.Stopping:
			state, color = "stopping", yellow
		case !v.Self && v.Heard > api.SilentAfter:
			state, color = fmt.Sprintf("silent for %.0f s", v.Heard), red
		case v.Unready != "":
			state, color = "alive, not ready", yellow
		}
		if v.Self {
			state += " (this one)"
		}
		t = append(t, []cell{
			{text: v.Name},
			{text: cmp.Or(v.Version, "-")},
			{text: age(now.At.Sub(v.Started)), right: true},
			{text: notice.Thousands(int(v.Connections)), right: true},
			{text: notice.Thousands(v.Tunnels), right: true},
			{text: state, color: color},
		})
	}
	return p.table(t)
}

// stateOf says what keeps new sessions from a node at a time, if anything does, and for how long.
func stateOf(n *api.Node, at time.Time) (state, color string) {
	var facts []string
	if !n.Healthy {
		facts = append(facts, "unhealthy")
	}
	if n.Ejected {
		facts = append(facts, "ejected")
	}
	if color = red; len(facts) == 0 {
		color = yellow
	}
	if n.Draining {
		facts = append(facts, "draining")
	}
	if len(facts) > 0 && !n.Since.IsZero() {
		facts[0] += " for " + age(at.Sub(n.Since))
	}
	if d := n.Drain; d != nil && d.Done != nil && n.Total > 0 {
		facts = append(facts, "until "+d.Done.Local().Format(time.TimeOnly))
	}
	if len(facts) == 0 {
		return workingState(n)
	}
	return strings.Join(facts, ", "), color
}

// workingState says of a node that nothing keeps from new sessions why it gets fewer than its weight, if it does.
func workingState(n *api.Node) (state, color string) {
	asks := 1.0
	if n.Asks != nil {
		asks = *n.Asks
	}
	switch {
	case n.Untried:
		return "untried", yellow
	case n.Share < warmShare*float64(n.Weight)*asks:
		return "warming up", green
	case asks == 0:
		return "asks for 0%", yellow
	case asks < 1:
		return fmt.Sprintf("asks for %.3g%%", 100*asks), green
	}
	return "healthy", green
}

// gravity sorts nodes: those first that somebody has to look at.
func gravity(n *api.Node) int {
	switch {
	case !n.Healthy, n.Ejected:
		return 0
	case n.Draining:
		return 1
	}
	return 2
}

func probeOf(v *api.Probe) string {
	switch {
	case v == nil:
		return "none"
	case v.Reason != "":
		return v.Reason
	}
	return fmt.Sprintf("%.0f ms", 1000*v.Took)
}

// weight writes a node's weight in hundredths at most.
func weight(w float64) string { return strconv.FormatFloat(math.Round(100*w)/100, 'f', -1, 64) }

func share(part, all int) string {
	if all == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100*float64(part)/float64(all))
}

// age writes how long something has been so, as 3d4h, 5h12m, 7m30s or 12s.
func age(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", max(d, 0)/time.Second)
}

// cell is one of a table. What stands in it is as wide as it has runes.
type cell struct {
	text, color string
	right       bool
}

type table [][]cell

// table aligns the columns of t, of which the first row is the heading.
func (p page) table(t table) string {
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	var b strings.Builder
	for r, row := range t {
		line := ""
		for i, c := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			if r == 0 {
				c.color, c.right = dim, t[len(t)-1][i].right
			}
			if c.text = p.paint(c.color, c.text); c.right {
				line += "  " + pad + c.text
			} else {
				line += "  " + c.text + pad
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

func (p page) paint(color, text string) string {
	if !p.color || color == plain || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// fit cuts what the terminal has no room for, and says how much that is.
func (p page) fit(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if p.height > 1 && len(lines) >= p.height {
		cut := len(lines) - (p.height - 2)
		lines = append(lines[:p.height-2], fmt.Sprintf("  … and %d lines more: make the window larger, or leave out --watch", cut))
	}
	for i, line := range lines {
		lines[i] = p.narrow(line)
	}
	return strings.Join(lines, "\n") + "\n"
}

// narrow cuts a line that is wider than the terminal. What sets colors has no width, and stays.
func (p page) narrow(line string) string {
	if p.width == 0 {
		return line
	}
	var b strings.Builder
	width, escape := 0, false
	for _, r := range line {
		if r == '\x1b' {
			escape = true
		}
		if !escape {
			width++
		}
		if escape || width <= p.width {
			b.WriteRune(r)
		}
		if escape && r == 'm' {
			escape = false
		}
	}
	return b.String()
}
