package crowd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sidway/sidway/bench/busy"
)

const (
	again = time.Second            // after which the attacker opens a connection again that was closed
	look  = 250 * time.Millisecond // between two looks at what is held
)

// attacker is the address of all the attacker's connections.
var attacker = net.IPv4(127, 0, 0, 2)

// flood attacks for as long as the job says, and looks at what the proxy and the nodes hold meanwhile.
func (c *crowd) flood(ctx context.Context, wg *sync.WaitGroup) (err error) {
	if c.result.Before, err = c.held(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	c.flooded = true
	c.mu.Unlock()
	if c.job.Kind == Idle {
		for range int(c.job.Flood) {
			wg.Go(func() { c.idle(ctx) })
		}
	}
	end := time.After(time.Duration(c.job.Seconds * float64(time.Second)))
	looks := time.NewTicker(look)
	defer looks.Stop()
	next := time.Now()
	for {
		var more <-chan time.Time
		if c.job.Kind == HalfClosed {
			more = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			return nil
		case <-more:
			next = next.Add(time.Duration(float64(time.Second) / c.job.Flood))
			wg.Go(func() { c.halfClosed(ctx) })
		case <-looks.C:
			now, err := c.held(ctx)
			if err != nil {
				return err
			}
			c.result.Peak.Conns = max(c.result.Peak.Conns, now.Conns)
			c.result.Peak.Polls = max(c.result.Peak.Polls, now.Polls)
		}
	}
}

// idle keeps a connection open that never sends a byte.
func (c *crowd) idle(ctx context.Context) {
	for ctx.Err() == nil {
		c.attack(ctx, "")
		select {
		case <-time.After(again):
		case <-ctx.Done():
		}
	}
}

// halfClosed makes a session, pipelines two polls of it on another connection and closes its side.
func (c *crowd) halfClosed(ctx context.Context) {
	l := line{addr: c.job.Addr, from: attacker}
	body, err := l.do(ctx, http.MethodGet, "", "")
	l.close()
	if err != nil {
		return // the proxy refuses strangers, as it may
	}
	if sid, err := openedSID(body); err == nil {
		poll := l.request(http.MethodGet, "&sid="+sid, "")
		c.attack(ctx, poll+poll)
	}
}

// attack opens a connection, sends something and closes its side if that is not nothing, and waits for the end.
func (c *crowd) attack(ctx context.Context, send string) {
	l := line{addr: c.job.Addr, from: attacker}
	if l.dial(ctx) != nil {
		return
	}
	defer l.close()
	conn := l.conn
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	c.mu.Lock()
	c.result.Attempts++
	c.mu.Unlock()
	if send != "" {
		if _, err := io.WriteString(conn, send); err != nil {
			return
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, l.in)
}

// held counts what is open now.
func (c *crowd) held(ctx context.Context) (h Held, err error) {
	nodes, err := busy.Ask(ctx, c.job.Control)
	for _, n := range nodes {
		h.Polls += n.Polls
	}
	if err != nil {
		return h, err
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return h, fmt.Errorf("crowd: %w", err)
	}
	_, port, _ := net.SplitHostPort(c.job.Addr)
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return h, errors.New("crowd: an address without a port")
	}
	h.Conns = open(string(table), uint16(n))
	return h, nil
}

// open counts the connections of a port in the kernel's table that stand or that the other side has half closed.
func open(table string, port uint16) (n int) {
	for line := range strings.Lines(table) {
		// 0: 0100007F:1F90 0100007F:D6BA 01 …
		f := strings.Fields(line)
		if len(f) > 3 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && (f[3] == "01" || f[3] == "08") {
			n++
		}
	}
	return n
}
