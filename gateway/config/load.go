package config

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sidway/sidway/gateway/nodename"
)

// maxFile bounds a configuration file; 10,000 nodes take less than a megabyte.
const maxFile = 4 << 20

// Flags are the texts that flags of the command line were given, by the names in Settings. An empty text counts as not given. They
// win over the environment and the file.
type Flags map[string][]string

// Load reads a file and the environment (os.Environ, or a test's own) and returns valid settings, or an *Error that
// holds everything that is wrong. An empty file name means that there is no file.
func Load(file string, environ []string) (*Config, error) {
	return LoadWith(file, environ, nil)
}

// LoadWith is Load with flags on top.
func LoadWith(file string, environ []string, f Flags) (*Config, error) {
	return load(file, environ, f, false)
}

// CheckWith is LoadWith for somebody who asks whether all is well: it refuses also what a replica works with as well as it can.
func CheckWith(file string, environ []string, f Flags) (*Config, error) {
	return load(file, environ, f, true)
}

func load(file string, environ []string, f Flags, strict bool) (*Config, error) {
	l := newLoader(environ)
	l.strict, l.clusters = strict, true
	if err := l.read(file, f); err != nil {
		return nil, err
	}
	if !l.broken {
		l.refuseUnknown()
	}
	l.check()
	if err := l.err(); err != nil {
		return nil, err
	}
	return l.cfg, nil
}

func newLoader(environ []string) *loader {
	return &loader{
		cfg: Default(), report: report{at: map[string]place{}}, unread: map[string]bool{}, meant: map[string]bool{},
		env: newEnvironment(environ), expanded: map[string]bool{}, fields: settings,
	}
}

// read fills the settings from the file, if there is one, the environment and the flags.
func (l *loader) read(file string, f Flags) error {
	l.hasFile = file != ""
	if l.hasFile {
		data, err := read(file)
		if err != nil {
			return err
		}
		l.file(file, data)
	}
	l.environment()
	l.flags(f)
	return nil
}

func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes, so hardly a configuration", file, maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return data, nil
}

// loader fills cfg from one source after the other.
type loader struct {
	report
	cfg      *Config
	fields   []field[Config] // that are read
	clusters bool            // these too
	env      environment
	expanded map[string]bool // variables that values of the file name
	strict   bool            // also what a replica works with is refused
	broken   bool            // the file is not YAML, so nothing is known of what it lacks
	unread   map[string]bool // clusters and nodes that were no mappings, likewise
	hasFile  bool
	meant    map[string]bool // settings whose keys are misspelt, most likely
}

func (l *loader) flags(given Flags) {
	for _, f := range l.fields {
		texts := given[f.flag()]
		if len(texts) == 0 || texts[len(texts)-1] == "" {
			continue
		}
		text := texts[len(texts)-1] // the last one wins
		if f.list {
			text = strings.Join(texts, ",")
		}
		apply(l, f, l.cfg, "--"+f.flag(), text)
	}
	if nodes := given["node"]; len(nodes) > 0 && l.clusters {
		l.nodes("--node", nodes)
	}
}

// apply sets one setting from a text that has no lines.
func apply[T any](l *loader, f field[T], t *T, source, text string) {
	l.at[f.key] = place{source: source}
	texts := []string{text}
	if f.list {
		texts = strings.Split(text, ",")
	}
	f.reset(t)
	for key := range l.at {
		if strings.HasPrefix(key, f.key+"[") { // items that the file had
			delete(l.at, key)
		}
	}
	for _, s := range texts {
		if err := f.set(t, strings.TrimSpace(s)); err != nil {
			l.addAt(f.key, err.Error())
		}
	}
}

// nodes gives the only cluster its nodes.
func (l *loader) nodes(source string, entries []string) {
	if len(l.cfg.Clusters) > 1 {
		l.add("", place{source: source}, "there is more than one cluster, so it is unclear whose nodes these are; write them in the file")
		return
	}
	if len(l.cfg.Clusters) == 0 {
		l.cfg.Clusters = []Cluster{newCluster()}
		l.cfg.Clusters[0].Name = "default"
		l.at["clusters[0].name"] = place{source: source}
	}
	for key := range l.at {
		if strings.HasPrefix(key, "clusters[0].nodes") {
			delete(l.at, key)
		}
	}
	c := &l.cfg.Clusters[0]
	c.Nodes = nil
	for i, text := range entries {
		base := fmt.Sprintf("clusters[0].nodes[%d]", i)
		c.Nodes = append(c.Nodes, l.entry(base, place{source: source}, strings.TrimSpace(text)))
	}
}

// entry reads a node from [name=]url[;weight], where weight may be written as weight=5 too.
func (l *loader) entry(base string, at place, text string) Node {
	for _, key := range []string{"", ".name", ".url", ".weight"} {
		l.at[base+key] = at
	}
	n := newNode()
	name, rest, named := strings.Cut(text, "=")
	if !named || strings.Contains(name, "://") {
		name, rest, named = "", text, false
	}
	address, weight, weighted := strings.Cut(rest, ";")
	try := func(key string, err error) {
		if err != nil {
			l.addAt(base+key, err.Error())
		}
	}
	var err error
	n.URL, err = parseURL(address)
	try(".url", err)
	if weighted {
		n.Weight, err = parseWeight(strings.TrimPrefix(weight, "weight="))
		try(".weight", err)
	}
	if named {
		n.Name, err = parseName(name)
		try(".name", err)
	} else {
		n.Name = nodename.Of(n.Address())
	}
	return n
}
