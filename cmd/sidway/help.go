package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sidway/sidway/gateway/config"
)

const overview = `sidway is a gateway for Socket.IO clusters: it sends every request of a session to the node that made
the session, whatever replica of sidway it comes to. No cookies, no client addresses.

  sidway serve --node http://127.0.0.1:3001 --node http://127.0.0.1:3002
                                      serve two nodes on :8080, for a first try
  sidway serve --config sidway.yaml   serve what the file says
  sidway check --config sidway.yaml   say whether the file is good, and what it comes to
  sidway health                       ask the replica on this machine whether it is ready
  sidway status --watch               show what is wrong, if anything, the nodes and their sessions, and the replicas
  sidway trace SID                    show where a session lives and its last requests, or why it lives no more
  sidway move SID --to n3             move a session to another node while its client stays connected
  sidway drain n2 --deadline 5m       give a node no new sessions, and end its own after a while; undrain takes it back
  sidway release v2 10%               give the nodes with the label version: v2 a tenth of the new sessions
  sidway reload                       have the replica on this machine read its settings again, as SIGHUP does
  sidway guard list                   print what is refused because it would harm nodes of some versions
  sidway completion bash              print what a shell completes these commands with; man prints the manual page
  sidway version                      say which build this is
  sidway help serve                   every flag of a command
  sidway help settings                every setting, with its environment variable
`

const serveHelp = `sidway serve --config FILE [flags]
sidway serve --node URL [--node URL]… [flags]

Serves clients until SIGTERM or SIGINT, then ends gracefully; a second signal ends it at once.
SIGUSR2 has the program started again, which takes the listeners over without a refused connection.

%s
Every other setting has a flag named after its key, as --limits.idle-time 75s: sidway help settings.
Flags win over environment variables (sidway help settings), and those over the file.
`

const checkHelp = `sidway check --config FILE [flags]

Reads the settings as serve would, with the same flags and environment variables, and prints what they come to. If
something is wrong it prints each problem with its line and what to write instead, and the exit status is 1. It
connects to nothing.
`

const healthHelp = `sidway health [--config FILE] [--admin ADDRESS]

Asks the replica on this machine for /readyz, at the admin address that its settings or environment name, and prints the
answer. The exit status is 0 if it is ready, else 1, as health checks of containers want it. It uses no proxy.
`

const statusHelp = `sidway status [--watch] [--json] [--config FILE] [--admin ADDRESS]

Shows whether all is well or what is wrong, the clusters with their nodes, and the other replicas that share the Redis. It takes a
second, since rates are made of two looks.

  --watch    show it again each second until Ctrl-C
  --json     print what /api/status answers; with --watch, each on a line

Sessions are those of all replicas; connections and rates are those of the replica that is asked.
`

const traceHelp = `sidway trace SID [--packets] [--json] [--config FILE] [--admin ADDRESS]

The SID of a session is socket.io.engine.id in a client and socket.conn.id at a node, not socket.id.

Shows what all replicas that share the Redis know of a session: its cluster and node, since when it lives, which replica has its
WebSocket, and its last requests; or why it lives no more. Then the exit status is 1. The four characters that the access log tells
of a sid will do where the replica that is asked remembers only one session whose sid begins so.

  --packets  show its packets as they pass on its WebSocket, until it ends: which way, what they are, how large, and how long an
             acknowledgement took. The WebSocket must run through the replica that is asked. What packets say is shown where
             sessions.payloads is true; they are read where the cluster has sessions.move, sessions.heartbeat or guard.frames.
  --json     print what /api/sessions/SID/trace answers; with --packets, each packet as JSON on a line

Each replica remembers the last eight requests of up to 8,192 sessions of a cluster, until it is restarted.
`

const moveHelp = `sidway move SID [--to NODE] [--config FILE] [--admin ADDRESS]

The SID of a session is socket.io.engine.id in a client and socket.conn.id at a node, not socket.id.

Moves a session to another node while its client stays connected: see docs/moving.md. Its WebSocket must run through the replica that is
asked; sidway trace SID says which replica has it. Of a session that polls any replica may be asked, and it moves after two to six seconds.
The exit status is 1 where the session did not move.

  --to NODE     the node; left out, the one that the cluster picks
`

const drainHelp = `sidway drain NODE [--cluster NAME] [--deadline TIME] [--wait] [--config FILE] [--admin ADDRESS]
sidway undrain NODE [--cluster NAME] [--config FILE] [--admin ADDRESS]

Gives a node no new sessions, at all replicas that share a Redis, also those that start later, until undrain takes it
back. Its sessions go on.

  --cluster NAME     the node's cluster, where several have a node of that name
  --deadline TIME    after which its sessions are ended, as 5m; 0s at once. They are ended a few at a time, no faster than
                     the other nodes take them, and their clients come back to those; left out: they end by themselves
  --wait             show how many are left, and return when none is

The replica is asked at the admin address that its settings or environment name, with admin.token if there is one.
`

const releaseHelp = `sidway release VALUE SHARE [--label NAME] [--cluster NAME] [--config FILE] [--admin ADDRESS]
sidway release off [--cluster NAME] [--config FILE] [--admin ADDRESS]

Has a share of the new sessions go to the nodes with a label, as sidway release v2 10% to those with version: v2, and the
others to the rest, at all replicas that share a Redis. Sessions stay where they are. It holds in place of the
configuration's release until sidway release off.

  --label NAME       of which VALUE is the value; version if left out
  --cluster NAME     needed where there are several
`

const reloadHelp = `sidway reload [--config FILE] [--admin ADDRESS]

Has the replica on this machine read its settings again, as SIGHUP and a change of the file do. Bad ones are refused
whole, and the exit status is 1.
`

const guardHelp = `sidway guard list [--config FILE]

Prints the rules by which requests are refused that would harm nodes of some versions: the ID of each, what it refuses, which nodes take
harm from that and by which advisory, and, of a file, whether its clusters refuse or only report it (guard.report). The metric
sidway_guard_total counts both, and the log names the first client in an hour.
`

const completionHelp = `sidway completion bash|zsh|fish

Prints what the shell completes sidway's commands and flags with:

  sidway completion bash > /etc/bash_completion.d/sidway
  sidway completion zsh > "${fpath[1]}/_sidway"
  sidway completion fish > ~/.config/fish/completions/sidway.fish
`

const manHelp = `sidway man > /usr/local/share/man/man1/sidway.1

Prints the manual page: all that sidway help tells.
`

const settingsHelp = `Each key of the file can be set by the variable beside it too, and by a flag of serve that is named after the key, with
- for _, as --limits.idle-time; only affinity.redis is --redis and admin.listen --admin. Flags win over variables, and
those over the file; a variable that is empty counts as not set. Lists are separated by commas. Any other SIDWAY_* is
refused as misspelt, but for SIDWAY_DEMO_* and those that Kubernetes sets for its Services. The last column is the
default.

`

const settingsEnd = `
SIDWAY_NODES is [name=]http://host:port[;weight=5], as n1=http://10.0.0.1:3001;weight=5,n2=http://10.0.0.2:3001.
It names the nodes of the only cluster, as --node does.
sidway.example.yaml and docs/configuration.md say what each key is for.
`

// help prints what args ask about.
func (c command) help(args []string) error {
	topic := ""
	if len(args) > 0 {
		topic = args[0]
	}
	text := overview
	switch i := slices.Index(names(), topic); {
	case topic == "settings" || topic == "environment" || topic == "env":
		return c.settings()
	case i >= 0:
		text = verbs[i].help()
	case topic != "":
		return &usageError{text: unknown("topic ", topic, append(names(), "settings"))}
	}
	_, err := fmt.Fprint(c.stdout, text)
	return err
}

// helpOr prints a command's help unless something was wrong with the call.
func (c command) helpOr(err error, name string) error {
	if err != nil {
		return err
	}
	return c.help([]string{name})
}

// serveUsage returns the help of serve, with a line for each flag that most people need.
func serveUsage() string {
	all := config.Settings()
	last := len(all) - 1 // --node, which goes with --config
	all = append(all[last:], all[:last]...)
	var b strings.Builder
	line := func(flag, text string) {
		for t := range strings.Lines(text) {
			fmt.Fprintf(&b, "  %-18s %s\n", flag, strings.TrimSuffix(t, "\n"))
			flag = ""
		}
	}
	line("--config FILE", "read the settings from a YAML file; see sidway.example.yaml")
	for _, s := range all {
		text := s.Help
		if s.Default != "" && !s.Switch {
			text += "; " + s.Default + " if left out"
		}
		if s.Help != "" {
			line(strings.TrimSpace("--"+s.Flag+" "+s.Value), text)
		}
	}
	return fmt.Sprintf(serveHelp, b.String())
}

func (c command) settings() error {
	_, err := fmt.Fprint(c.stdout, settingsText())
	return err
}

func settingsText() string {
	var b strings.Builder
	b.WriteString(settingsHelp)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range config.Settings() {
		value := s.Default
		if value == "" {
			value = "none; as " + s.Sample
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", s.Key, s.Variable, value)
	}
	_ = w.Flush() // into b, which takes all
	return b.String() + settingsEnd
}
