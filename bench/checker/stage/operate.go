//go:build linux

package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Release says that new sessions go to new nodes alone from now on: to the spare one, and to those that Undrain brings back.
func (s *Stage) Release(ctx context.Context) error {
	if s.plan.Sidway == "" {
		for _, n := range s.Nodes {
			if err := s.tellHAProxies("set server nodes/" + n.Name + " state drain"); err != nil {
				return err
			}
		}
		return s.tellHAProxies("set server nodes/" + s.Spare.Name + " state ready")
	}
	if err := s.putNode(ctx, s.Spare); err != nil {
		return err
	}
	return s.api(ctx, http.MethodPut, "release", `{"label": "version", "value": "v2", "share": "100%"}`, nil)
}

func (s *Stage) putNode(ctx context.Context, n *Process) error {
	return s.api(ctx, http.MethodPut, "nodes/"+n.Name, `{"url": "http://`+n.Addr()+`", "labels": {"version": "v2"}}`, nil)
}

// Drain has a node get no new sessions and ends those that it has, and returns when it has none.
func (s *Stage) Drain(ctx context.Context, n *Process) error {
	if s.plan.Sidway == "" {
		// It cannot end sessions that poll: those end when the node does.
		return s.tellHAProxies("set server nodes/"+n.Name+" state maint", "shutdown sessions server nodes/"+n.Name)
	}
	if err := s.api(ctx, http.MethodPost, "nodes/"+n.Name+"/drain", `{"deadline": "0s"}`, nil); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for node := (struct{ Total int }{1}); node.Total > 0; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("stage: %s has %d sessions after its drain: %w", n.Name, node.Total, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
		if err := s.api(ctx, http.MethodGet, "nodes/"+n.Name, "", &node); err != nil {
			return err
		}
	}
	return nil
}

// Undrain brings a node back as a new one.
func (s *Stage) Undrain(ctx context.Context, n *Process) error {
	if s.plan.Sidway == "" {
		return s.tellHAProxies("set server nodes/" + n.Name + " state ready")
	}
	if err := s.putNode(ctx, n); err != nil {
		return err
	}
	return s.api(ctx, http.MethodDelete, "nodes/"+n.Name+"/drain", "", nil)
}

// api asks the first replica, which tells the others.
func (s *Stage) api(ctx context.Context, method, path, body string, into any) error {
	status, text := s.Replicas[0].Ask(ctx, method, "/api/clusters/chat/"+path, body)
	if status != http.StatusOK {
		return fmt.Errorf("stage: %s %s: %d %s", method, path, status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal([]byte(text), into)
}

// tellHAProxies gives commands to the runtime API of each.
func (s *Stage) tellHAProxies(commands ...string) error {
	for _, r := range s.Replicas {
		for _, command := range commands {
			text, err := r.command(command)
			if err == nil && strings.TrimSpace(text) != "" {
				err = errors.New(text)
			}
			if err != nil {
				return fmt.Errorf("stage: %s: %q: %w", r.Name, command, err)
			}
		}
	}
	return nil
}

// command gives a command to HAProxy's runtime API.
func (r *Replica) command(text string) (string, error) {
	c, err := net.Dial("tcp", r.admin)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, text+"\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}

// Alias gives the replica's host a second address, and returns what clients that come by it dial.
func (s *Stage) Alias(r *Replica) (string, error) {
	addr, err := s.Wire.alias(r.Host)
	if err != nil {
		return "", err
	}
	return at(addr, frontPort), nil
}

// Established counts the connections of clients that a replica holds by its address with this port.
func (r *Replica) Established(address string) (int, error) {
	want, err := netip.ParseAddrPort(address)
	if err != nil {
		return 0, fmt.Errorf("stage: %w", err)
	}
	// local_address is four bytes of the address from the last to the first, in hex, in tcp6 behind what makes them an IPv6 address.
	a := want.Addr().As4()
	local := fmt.Sprintf("%02X%02X%02X%02X:%04X", a[3], a[2], a[1], a[0], want.Port())
	n := 0
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", r.Pid(), table))
		if err != nil {
			return 0, fmt.Errorf("stage: %w", err)
		}
		for line := range strings.Lines(string(text)) { // st is 01 for ESTABLISHED
			if fields := strings.Fields(line); len(fields) > 3 && strings.HasSuffix(fields[1], local) && fields[3] == "01" {
				n++
			}
		}
	}
	return n, nil
}
