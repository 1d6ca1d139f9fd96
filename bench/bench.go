//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/report"
	"github.com/sidway/sidway/bench/rival"
)

// bench is one run of the command.
type bench struct {
	dir    string // for everything that ends with it
	exe    string // this program
	quick  bool
	rivals []*rival.Rival
	run    report.Run
}

// measure runs what the options ask for, writes its results into -out, and prints them.
func measure(ctx context.Context, o options) (err error) {
	b := &bench{quick: o.quick}
	if b.exe, err = os.Executable(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "sidway-bench"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	if err := b.prepare(ctx, o); err != nil {
		return err
	}
	if o.syscalls {
		err = b.count(ctx)
	} else {
		err = b.rounds(ctx)
	}
	// What was measured before an interrupt or a failure is worth keeping.
	if err := b.write(o); err != nil {
		return err
	}
	fmt.Print(b.run.Text())
	if err != nil {
		return err
	}
	if n := len(b.run.Failures); n > 0 {
		return fmt.Errorf("%d samples could not be taken", n)
	}
	return nil
}

// prepare finds out what to run, with which programs, on which machine.
func (b *bench) prepare(ctx context.Context, o options) (err error) {
	if b.run.Workloads, err = chosen(o); err != nil {
		return err
	}
	if o.growth {
		_, b.run.Series = growth()
	}
	b.run.Ordinary, b.run.Encrypted, b.run.Movable = o.traffic, o.tls, o.moving
	if b.rivals, err = b.find(ctx, o); err != nil {
		return err
	}
	if err := o.fits(b.rivals); err != nil {
		return err
	}
	b.run.Command, b.run.Started, b.run.Rounds = o.command, time.Now(), o.rounds
	for _, r := range b.rivals {
		p := report.Proxy{Name: rival.Direct, Family: report.Direct}
		if r != nil {
			p = report.Proxy{Name: r.Name, Family: r.Family}
			if p.Version, err = r.Version(ctx); err != nil {
				return err
			}
		}
		b.run.Proxies = append(b.run.Proxies, p)
	}
	b.run.Machine, err = machine(ctx)
	return err
}

// find lists the proxies that the options ask for; nil is the direct line.
func (b *bench) find(ctx context.Context, o options) ([]*rival.Rival, error) {
	builds, err := b.builds(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.moving {
		for _, r := range builds {
			m := rival.Moving(r.Name, r.Program)
			builds = append(builds, &m)
		}
	}
	all := append([]*rival.Rival{nil}, builds...)
	others := rival.All("")[1:]
	if o.newer != "" {
		others = append(others, rival.Newer(o.newer)...)
	}
	for _, r := range append(others, rival.Floor(b.exe)) {
		all = append(all, &r)
	}
	wanted := split(o.proxies)
	if len(wanted) == 0 && o.sidway != "" {
		return builds, nil // a comparison of builds needs nobody else
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(all, func(r *rival.Rival) bool { return called(r, name) }) {
			return nil, fmt.Errorf("no proxy %q; there are direct, sidway, nginx, nginx-1, nginx-2, haproxy, haproxy-1, haproxy-2, caddy, floor, and with -newer nginx-new and haproxy-new", name)
		}
	}
	if len(wanted) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(all, func(r *rival.Rival) bool {
		return !slices.ContainsFunc(wanted, func(name string) bool { return called(r, name) })
	}), nil
}

func called(r *rival.Rival, name string) bool {
	if r == nil {
		return name == rival.Direct
	}
	return name == r.Name || name == r.Family
}

// builds are those of -sidway, or else one made from the sources.
func (b *bench) builds(ctx context.Context, o options) ([]*rival.Rival, error) {
	var list []*rival.Rival
	for _, s := range split(o.sidway) {
		name, path, ok := strings.Cut(s, "=")
		if !ok || name == "" || strings.ContainsAny(name, "/ ") {
			return nil, fmt.Errorf("-sidway: %q is not name=path", s)
		}
		r := rival.Build(name, path)
		list = append(list, &r)
	}
	if len(list) > 0 {
		return list, nil
	}
	r := rival.Build(rival.Sidway, filepath.Join(b.dir, "sidway"))
	list = append(list, &r)
	if wanted := split(o.proxies); len(wanted) > 0 && !slices.Contains(wanted, rival.Sidway) {
		return list, nil // find drops it
	}
	return list, b.build(ctx, r.Program)
}

// rounds takes every sample.
func (b *bench) rounds(ctx context.Context) error {
	for round := range b.run.Rounds {
		turns := b.turns
		if len(b.run.Series) > 0 {
			turns = b.sizes
		}
		for _, t := range turns(round) {
			s, err := b.sample(ctx, t.rival, t.work)
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			s.Round = round + 1
			b.take(t.work, s, err)
		}
	}
	return nil
}

// take keeps a sample, or that there is none, and says so.
func (b *bench) take(w report.Workload, s report.Sample, err error) {
	at := fmt.Sprintf("round %d/%d  %-14s %-10s", s.Round, b.run.Rounds, w.Name, s.Proxy)
	if err != nil {
		b.run.Failures = append(b.run.Failures, at+": "+err.Error())
		fmt.Fprintln(os.Stderr, at, "failed:", err)
		return
	}
	b.run.Samples = append(b.run.Samples, s)
	fmt.Fprintln(os.Stderr, at, report.Line(w, s))
}

// sample measures one workload through one proxy.
func (b *bench) sample(ctx context.Context, r *rival.Rival, w report.Workload) (s report.Sample, err error) {
	s = report.Sample{Workload: w.Name, Proxy: rival.Direct}
	if r != nil {
		s.Proxy = r.Name
	}
	// The kernel's memory is told only beside the direct line's.
	if w.Job.Kind == load.Idle && !b.quick && slices.Contains(b.rivals, nil) {
		if err := settle(ctx); err != nil {
			return s, err
		}
	}
	st, err := b.open(ctx, r, w)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	if w.Crowd != nil {
		s.Crowd, err = b.crowd(ctx, st, *w.Crowd)
		return s, err
	}
	return s, b.window(ctx, st, w, &s)
}

// write puts everything into a folder. Each kind of run has a file of its own; the page needs all of them.
func (b *bench) write(o options) error {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	if err := b.run.Save(filepath.Join(o.out, o.kind()+".json")); err != nil || o.kind() != comparison {
		return err
	}
	for _, p := range b.run.Proxies {
		if p.Family != report.Sidway {
			continue
		}
		if err := os.WriteFile(filepath.Join(o.out, p.Name+".txt"), []byte(b.run.Lines(p.Name)), 0o644); err != nil {
			return err
		}
	}
	_, err := b.run.WriteCharts(o.out)
	return err
}
