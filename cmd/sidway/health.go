package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sidway/sidway/gateway/config"
)

// healthLimit bounds one question; Docker's own limit for a health check is longer.
const healthLimit = 2 * time.Second

// health asks a replica on this machine whether it is ready. It finds the admin address in the settings.
func (c command) health(ctx context.Context, args []string) error {
	var s settings
	fs := flag.NewFlagSet("health", flag.ContinueOnError)
	s.add(fs, func(o config.Setting) bool { return o.Key == config.AdminListen })
	if wantsHelp, err := parse(fs, args); err != nil || wantsHelp {
		return c.helpOr(err, "health")
	}
	r, err := c.remote(s, false)
	if err != nil {
		return err
	}
	answer, err := readiness(ctx, r.address)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.stdout, answer)
	return err
}

// readiness asks an admin address.
func readiness(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/readyz", nil)
	if err != nil {
		return "", err
	}
	res, err := direct(address).RoundTrip(r)
	if err != nil {
		return "", fmt.Errorf("no replica answers at %s: %w", address, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return "", err
	}
	answer := string(bytes.TrimSpace(body))
	var said struct{ Status string }
	switch err := json.Unmarshal(body, &said); {
	case res.StatusCode != http.StatusOK:
		return "", fmt.Errorf("%s answers %s: %s", address, res.Status, answer)
	case err != nil || said.Status != "ready":
		return "", stranger(address, res.Status, body)
	}
	return answer, nil
}
