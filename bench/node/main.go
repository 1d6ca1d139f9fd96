//go:build linux

// Package node is several Engine.IO nodes in one process, fast enough to stand behind any proxy:
//
//	bench node -listen 127.0.0.1:3001,127.0.0.1:3002 -control 127.0.0.1:3000
//
// Polls are answered at once, POSTs with ok, frames with themselves. A sid tells by its third character which of the
// addresses made it; a request whose sid was made by another one is foreign: it is answered all the same, but with the
// field "X-Foreign: 1", and counted. A sid that begins with "unknown" no node has made, and is refused. That is all it knows
// of a session: there are no pings or time limits. Preflights are granted, and GET /page is answered with 2 KiB.
package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/sidway/sidway/bench/frame"
)

// Main runs the nodes until SIGINT or SIGTERM: -listen host:port,host:port,… is one node for each address, -control
// host:port the port that takes commands: "fanout <size>" writes a frame to every tunnel and answers their number,
// "stats" answers Stats as a line of JSON.
func Main(args []string) error {
	flags := flag.NewFlagSet("node", flag.ContinueOnError)
	listen := flags.String("listen", "", "one node for each of these addresses, separated by commas")
	control := flags.String("control", "", "address that takes commands")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if *listen == "" || *control == "" || flags.NArg() > 0 {
		return errors.New("node: -listen and -control are needed, and nothing else")
	}
	n, err := Open(strings.Split(*listen, ","), *control)
	if err != nil {
		return err
	}
	defer n.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return n.Run(ctx)
}

// command obeys the line at the beginning of b and returns its length, 0 if it is not complete.
func (n *Node) command(c *conn, b []byte) (int, error) {
	line, _, ok := bytes.Cut(b, []byte("\n"))
	if !ok {
		return 0, nil
	}
	verb, argument, _ := strings.Cut(string(line), " ")
	switch size, err := strconv.Atoi(argument); {
	case verb == "fanout" && err == nil && size >= 0 && size <= frame.MaxPayload:
		n.answer = append(strconv.AppendInt(n.answer[:0], int64(n.fanout(size)), 10), '\n')
	case verb == "stats" && argument == "":
		text, err := json.Marshal(n.stats)
		if err != nil {
			return 0, err
		}
		n.answer = append(append(n.answer[:0], text...), '\n')
	default:
		n.answer = append(n.answer[:0], "unknown command\n"...)
	}
	return len(line) + 1, n.write(c, n.answer)
}
