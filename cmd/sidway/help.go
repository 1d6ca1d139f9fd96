package main

import (
	"fmt"
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
  sidway version                      say which build this is
  sidway help serve                   every flag of a command
  sidway help settings                every setting, with its environment variable
`

const serveHelp = `sidway serve --config FILE [flags]
sidway serve --node URL [--node URL]… [flags]

Serves clients until SIGTERM or SIGINT, then ends gracefully; a second signal ends it at once.

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

const settingsHelp = `Each key of the file can be set by the variable beside it too, and by a flag of serve that is named after the key, with
- for _, as --limits.idle-time; only affinity.redis is --redis and admin.listen --admin. Flags win over variables, and
those over the file; a variable that is empty counts as not set. Lists are separated by commas. Any other SIDWAY_* is
refused as misspelt, but for SIDWAY_DEMO_* and those that Kubernetes sets for its Services. The last column is the
default.

`

const settingsEnd = `
SIDWAY_NODES is [name=]http://host:port[;weight], for example n1=http://10.0.0.1:3001;5,n2=http://10.0.0.2:3001.
It names the nodes of the only cluster, as --node does.
sidway.example.yaml and docs/configuration.md say what each key is for.
`

// help prints what args ask about.
func (c command) help(args []string) error {
	topic := ""
	if len(args) > 0 {
		topic = args[0]
	}
	texts := map[string]string{"": overview, "help": overview, "serve": serveUsage(), "check": checkHelp, "health": healthHelp, "version": overview}
	if topic == "settings" || topic == "environment" || topic == "env" {
		return c.settings()
	}
	text, ok := texts[topic]
	if !ok {
		topics := []string{"serve", "check", "health", "version", "settings"}
		return &usageError{text: unknown("topic ", topic, topics)}
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
	fmt.Fprint(c.stdout, settingsHelp)
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	for _, s := range config.Settings() {
		value := s.Default
		if value == "" {
			value = "none; as " + s.Sample
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", s.Key, s.Variable, value)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(c.stdout, settingsEnd)
	return err
}
