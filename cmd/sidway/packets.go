package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/api"
)

// packets shows the packets of a session as they pass, until it ends.
func (c command) packets(ctx context.Context, r *remote, sid string, asJSON bool) error {
	p := page{color: c.colors()}
	_, err := r.stream(ctx, "/api/sessions/"+url.PathEscape(sid)+"/packets", func(_ string, data []byte) (bool, error) {
		line := string(data)
		if !asJSON {
			var v api.Packet
			if err := json.Unmarshal(data, &v); err != nil {
				return false, err
			}
			line = p.packet(&v)
		}
		_, err := fmt.Fprintln(c.stdout, line)
		return true, err
	})
	if ctx.Err() != nil { // Ctrl-C
		return nil
	}
	return err
}

// packet writes a packet on a line.
func (p page) packet(v *api.Packet) string {
	var b strings.Builder
	if v.Missed > 0 {
		fmt.Fprintf(&b, "%d packets were too fast to be shown\n", v.Missed)
	}
	arrow, color := "→ node  ", plain
	if v.From == "node" {
		arrow, color = "← client", green
	}
	fmt.Fprintf(&b, "%s  %s  %-13s %7d B", v.Time.Local().Format("15:04:05.000"), p.paint(color, arrow), v.Type, v.Size)
	if v.Namespace != "" && v.Namespace != "/" {
		b.WriteString("  " + v.Namespace)
	}
	if v.Event != "" {
		fmt.Fprintf(&b, "  %q", v.Event)
	}
	if v.ID != nil {
		fmt.Fprintf(&b, "  #%d", *v.ID)
	}
	if v.Attachments > 0 {
		fmt.Fprintf(&b, "  +%d binary", v.Attachments)
	}
	if v.Took > 0 {
		fmt.Fprintf(&b, "  after %v", time.Duration(v.Took*float64(time.Second)).Round(100*time.Microsecond))
	}
	if v.Payload != "" {
		fmt.Fprintf(&b, "  %q", v.Payload)
	}
	return b.String()
}
