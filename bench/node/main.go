//go:build linux

// Package node is several Engine.IO nodes in one process, fast enough to stand behind any proxy.
package node

import "errors"

// Main runs the nodes until SIGINT or SIGTERM: -listen host:port,host:port,… is one node for each address, -control
// host:port the port that takes commands: "fanout <size>" writes a frame to every tunnel and answers their number,
// "stats" answers the counts since the start as a line of JSON (see Stats).
func Main(args []string) error {
	return errors.New("node: under construction")
}
