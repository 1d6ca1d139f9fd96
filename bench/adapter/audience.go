package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

// audience are the clients of all servers.
type audience struct {
	conns      []*websocket.Conn
	broadcasts int
}

// gather connects the clients and returns when the servers know of each other.
func gather(ctx context.Context, servers []*server, p plan) (*audience, error) {
	a := &audience{broadcasts: p.broadcasts}
	for _, s := range servers {
		for range p.clients {
			c, err := connect(ctx, s.port)
			if err != nil {
				a.close()
				return nil, err
			}
			a.conns = append(a.conns, c)
		}
	}
	for ctx.Err() == nil {
		n, err := servers[0].do("serverCount")
		if err != nil {
			return a, err
		}
		if n == float64(len(servers)) {
			return a, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return a, ctx.Err()
}

func connect(ctx context.Context, port int) (*websocket.Conn, error) {
	c, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://127.0.0.1:%d/socket.io/?EIO=4&transport=websocket", port), nil)
	if err != nil {
		return nil, err
	}
	if _, _, err := c.Read(ctx); err != nil {
		return nil, err
	}
	if err := c.Write(ctx, websocket.MessageText, []byte("40")); err != nil {
		return nil, err
	}
	_, _, err = c.Read(ctx)
	return c, err
}

// hear has s broadcast and waits until every client has received everything in order.
func (a *audience) hear(ctx context.Context, s *server, event string) error {
	errs := make(chan error, len(a.conns))
	for _, c := range a.conns {
		go func() { errs <- listen(ctx, c, event, a.broadcasts) }()
	}
	if _, err := s.do("flood", event, a.broadcasts, 0); err != nil {
		return err
	}
	for range a.conns {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

func listen(ctx context.Context, c *websocket.Conn, event string, n int) error {
	prefix := []byte(`42["` + event + `",`)
	for i := 0; i < n; {
		_, b, err := c.Read(ctx)
		if err != nil {
			return fmt.Errorf("behind %d events: %w", i, err)
		}
		if bytes.Equal(b, []byte("2")) {
			if err := c.Write(ctx, websocket.MessageText, []byte("3")); err != nil {
				return err
			}
			continue
		}
		number, ok := bytes.CutPrefix(b, prefix)
		if !ok || string(bytes.TrimSuffix(number, []byte("]"))) != strconv.Itoa(i) {
			return fmt.Errorf("received %q as event %d", b, i)
		}
		i++
	}
	return nil
}

func (a *audience) close() {
	for _, c := range a.conns {
		_ = c.CloseNow()
	}
}
