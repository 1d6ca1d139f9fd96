//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// commands are how many Redis was given, by name.
type commands map[string]int64

// less takes earlier ones away. What did not come since is left out.
func (c commands) less(earlier commands) commands {
	since := commands{}
	for name, n := range c {
		if n -= earlier[name]; n > 0 && name != "info" {
			since[name] = n
		}
	}
	return since
}

// askRedis reads how many commands a Redis was given since its start.
func askRedis(ctx context.Context, address string) (c commands, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if _, err := io.WriteString(conn, "INFO commandstats\r\nQUIT\r\n"); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	return parseCommands(string(text))
}

// parseCommands reads lines such as "cmdstat_get:calls=3,usec=4,usec_per_call=1.33,rejected_calls=0,failed_calls=0".
func parseCommands(text string) (commands, error) {
	if !strings.Contains(text, "# Commandstats") {
		return nil, errors.New("redis: tells no commands")
	}
	c := commands{}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		count, _, _ := strings.Cut(rest, ",")
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("redis: %q", line)
		}
		c[name] = n
	}
	return c, nil
}
