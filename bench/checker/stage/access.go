//go:build linux

package stage

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// An Answer is what a replica says in its access log of one request: the tap between clients and nodes.
type Answer struct {
	Replica string
	Node    string // empty where none was asked
	SID     string // its beginning; empty where there is none
	Status  int
}

// Access reads the access logs of all replicas. Lines that a killed replica had not written are missing.
func (s *Stage) Access() ([]Answer, error) {
	var all []Answer
	for _, r := range s.Replicas {
		read, file := sidwayAnswer, r.AccessLog()
		if s.plan.Sidway == "" {
			read, file = haproxyAnswer, r.log
		}
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("stage: %w", err)
		}
		defer f.Close()
		in := bufio.NewScanner(f)
		for in.Scan() {
			if a, ok := read(in.Text()); ok {
				a.Replica = r.Name
				all = append(all, a)
			}
		}
		if err := in.Err(); err != nil {
			return nil, fmt.Errorf("stage: %s: %w", file, err)
		}
	}
	return all, nil
}

func sidwayAnswer(line string) (Answer, bool) {
	var a Answer
	err := json.Unmarshal([]byte(line), &a)
	a.SID = strings.TrimSuffix(a.SID, "…")
	return a, err == nil && a.Status > 0
}

// backend/server, the times, the status, the bytes and, somewhere behind, what was captured of the request.
var haproxyLine = regexp.MustCompile(` nodes/(\S+) [-0-9/+]+ (\d{3}|-1) .*\{([^}]*)\} "`)

func haproxyAnswer(line string) (a Answer, ok bool) {
	m := haproxyLine.FindStringSubmatch(line)
	if m == nil {
		return a, false
	}
	a.Status, _ = strconv.Atoi(m[2])
	a.SID = m[3]
	if m[1] != "<NOSRV>" {
		a.Node = m[1]
	}
	return a, true
}
