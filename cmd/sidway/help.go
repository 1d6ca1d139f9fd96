package main

import (
	"fmt"
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
  sidway help environment             every environment variable
`

const serveHelp = `sidway serve --config FILE [flags]
sidway serve --node URL [--node URL]… [flags]

Serves clients until SIGTERM or SIGINT, then ends gracefully; a second signal ends it at once.

  --config FILE      read the settings from a YAML file; see sidway.example.yaml
  --node URL         a Socket.IO node, without a file: http://host:port, or name=http://host:port;weight
                     give it once for each node
  --redis URL        keep in Redis which node has which session, so that several replicas share it:
                     redis://:password@host:6379/0, redis+sentinel://…, redis+cluster://…, rediss for TLS
                     left out: in memory, for a single replica
  --listen ADDRESS   where clients connect, :8080 if left out; may be given more than once
  --admin ADDRESS    /healthz, /readyz and /metrics, 127.0.0.1:9090 if left out; off for none
  --access-log       write one line for each request

Flags win over environment variables (sidway help environment), and those over the file.
`

const checkHelp = `sidway check --config FILE

Reads the settings as serve would, environment variables included, and prints what they come to. If something is
wrong it prints each problem with its line and what to write instead, and the exit status is 1. It connects to nothing.
`

const healthHelp = `sidway health [--config FILE] [--admin ADDRESS]

Asks the replica on this machine for /readyz, at the admin address that its settings or environment name, and prints the
answer. The exit status is 0 if it is ready, else 1, as health checks of containers want it. It uses no proxy.
`

const environmentHelp = `Each of these sets what its key sets in the file. It wins over the file; empty means not set.
Lists are separated by commas. Any other SIDWAY_* is refused as misspelt, but for SIDWAY_DEMO_* and
those that Kubernetes sets for its Services. The last column is the default.

`

const environmentEnd = `
SIDWAY_NODES is [name=]http://host:port[;weight], for example n1=http://10.0.0.1:3001;5,n2=http://10.0.0.2:3001.
It names the nodes of the only cluster. sidway.example.yaml documents every key.
`

// help prints what args ask about.
func (c command) help(args []string) error {
	topic := ""
	if len(args) > 0 {
		topic = args[0]
	}
	texts := map[string]string{"": overview, "help": overview, "serve": serveHelp, "check": checkHelp, "health": healthHelp, "version": overview}
	if topic == "environment" || topic == "env" {
		return c.environment()
	}
	text, ok := texts[topic]
	if !ok {
		topics := []string{"serve", "check", "health", "version", "environment"}
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

func (c command) environment() error {
	fmt.Fprint(c.stdout, environmentHelp)
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	for _, v := range config.Variables() {
		value := v.Default
		if value == "" {
			value = "none; as " + v.Sample
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", v.Name, v.Key, value)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(c.stdout, environmentEnd)
	return err
}
