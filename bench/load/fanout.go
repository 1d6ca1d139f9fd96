//go:build linux

package load

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"time"
)

// trigger is a connection to the node's control port.
type trigger struct {
	conn net.Conn
	in   *bufio.Reader
}

func openTrigger(addr string) (*trigger, error) {
	conn, err := net.DialTimeout("tcp", addr, burstTime)
	if err != nil {
		return nil, fmt.Errorf("trigger: %w", err)
	}
	return &trigger{conn: conn, in: bufio.NewReader(conn)}, nil
}

// pull has a frame sent to every tunnel.
func (t *trigger) pull(size int) error {
	if err := t.conn.SetDeadline(time.Now().Add(2 * burstTime)); err != nil {
		return fmt.Errorf("trigger: %w", err)
	}
	if _, err := fmt.Fprintf(t.conn, "fanout %d\n", size); err != nil {
		return fmt.Errorf("trigger: %w", err)
	}
	return nil
}

// check waits for the node's answer, which must be the number of tunnels.
func (t *trigger) check(tunnels int) error {
	line, err := t.in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("trigger: %w", err)
	}
	if got := strings.TrimSpace(line); got != fmt.Sprint(tunnels) {
		return fmt.Errorf("the node sent to %s tunnels instead of %d", got, tunnels)
	}
	return nil
}

// bursts has one frame after the other sent to all tunnels, until one burst fails.
func (r *runner) bursts(until int64) {
	if err := r.burstsBefore(until); err != nil {
		r.note(1, err)
	}
	r.rest(until)
}

func (r *runner) burstsBefore(until int64) error {
	t, err := openTrigger(r.job.Trigger)
	if err != nil {
		return err
	}
	defer t.conn.Close()
	for r.now() < until {
		if err := r.burst(t); err != nil {
			return err
		}
		r.rest(r.now() + int64(burstPause))
	}
	return nil
}

// burst has one frame sent to all tunnels and waits until it has arrived at the last.
func (r *runner) burst(t *trigger) error {
	tunnels := r.standing
	for i := range r.conns {
		if c := &r.conns[i]; c.phase == ready {
			c.phase = busy
			r.flying++
		}
	}
	began := r.now()
	if err := t.pull(r.job.Size); err != nil {
		return err
	}
	for r.flying > 0 && r.now() < began+int64(burstTime) {
		r.step(burstPause)
	}
	r.latency.Record(r.now() - began)
	r.giveUp()
	return t.check(tunnels)
}
