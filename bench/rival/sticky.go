//go:build linux

package rival

import (
	"fmt"
	"io"
)

// A Sticky is one of several HAProxies that share their stick tables, which is how HAProxy does what sidway does with several
// replicas. The others are for what it costs; this one is for what is lost when parts die.
type Sticky struct {
	Name    string // among Peers
	Listen  string // where clients connect
	Admin   string // of its runtime API, by TCP
	Nodes   []string
	Peers   []Peer // all of them, itself too
	Threads int
}

// A Peer is one HAProxy as the others know it.
type Peer struct{ Name, Address string }

// Write writes its configuration.
func (s Sticky) Write(w io.Writer) error {
	limit, err := descriptors()
	if err != nil {
		return err
	}
	err = templates.ExecuteTemplate(w, "haproxy-sticky.cfg.tmpl", struct {
		Sticky
		Connections int
	}{s, (limit - 200) / 2})
	if err != nil {
		return fmt.Errorf("rival: %w", err)
	}
	return nil
}
