//go:build linux

package rival

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// A Sticky is one of several HAProxies that share their stick tables, which is how HAProxy does what sidway does with several
// replicas. The others are for what it costs; this one is for what is lost when parts die.
type Sticky struct {
	Name    string   // among Peers
	Port    int      // where clients connect, at all addresses
	Admin   string   // of its runtime API, by TCP
	Nodes   []string // they are called n1, n2, …
	Spare   string   // one more that is out of use at first, or empty
	Peers   []Peer   // all of them, itself too
	Threads int
}

// A Peer is one HAProxy as the others know it.
type Peer struct{ Name, Address string }

// Write writes its configuration into a file, and what that needs beside it.
func (s Sticky) Write(file string) error {
	limit, err := descriptors()
	if err != nil {
		return err
	}
	lua := filepath.Join(filepath.Dir(file), "haproxy-sticky.lua")
	var b bytes.Buffer
	err = templates.ExecuteTemplate(&b, "haproxy-sticky.cfg.tmpl", struct {
		Sticky
		Connections int
		Lua         string
	}{s, (limit - 200) / 2, lua})
	if err != nil {
		return fmt.Errorf("rival: %w", err)
	}
	script, err := conf.ReadFile("conf/haproxy-sticky.lua")
	if err != nil {
		return fmt.Errorf("rival: %w", err)
	}
	for name, text := range map[string][]byte{file: b.Bytes(), lua: script} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return fmt.Errorf("rival: %w", err)
		}
	}
	return nil
}
