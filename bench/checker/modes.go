//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sidway/sidway/bench/checker/app"
	"github.com/sidway/sidway/bench/checker/history"
	"github.com/sidway/sidway/bench/checker/planted"
	"github.com/sidway/sidway/bench/checker/race"
)

// modes are what the program does instead of faults, by the first argument. They need no root.
var modes = map[string]func(ctx context.Context, args []string) error{"planted": plant, "race": races}

// plant puts a gateway with a bug between clients and nodes, and fails with what the judge finds.
func plant(ctx context.Context, args []string) error {
	bug, err := planted.Named(strings.Join(args, " "))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "checker-planted-")
	if err != nil {
		return err
	}
	var nodes []string
	for _, name := range []string{"n1", "n2"} {
		n, err := app.Start(app.Options{Kind: app.SocketIO4, History: dir}, name)
		if err != nil {
			return err
		}
		defer n.Kill()
		nodes = append(nodes, n.Address)
	}
	events, err := planted.Try(ctx, nodes, bug, dir)
	if err != nil {
		return err
	}
	v := history.Judge(events, nil)
	fmt.Print(v)
	if !v.Sound() {
		return fmt.Errorf("%s: the histories are in %s", bug.Name, dir)
	}
	return os.RemoveAll(dir)
}

// races has POSTs meet the end of idle connections, and fails where sidway fails one that it need not, or delivers one twice.
func races(ctx context.Context, args []string) error {
	p := race.Plan{}
	f := flag.NewFlagSet("checker race", flag.ContinueOnError)
	f.Uint64Var(&p.Seed, "seed", 1, "of the moments")
	f.IntVar(&p.Shots, "shots", 1000, "POSTs for each case and gateway")
	f.IntVar(&p.Sessions, "sessions", 50, "that shoot")
	f.StringVar(&p.Dir, "out", "", "where histories are kept (a temporary directory, which is removed)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if p.Dir == "" {
		dir, err := os.MkdirTemp("", "checker-race-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		p.Dir = dir
	}
	if err := build(ctx, p.Dir); err != nil {
		return err
	}
	p.Sidway = filepath.Join(p.Dir, sidway)
	p.Each = func(r race.Row) { fmt.Println(r) }
	rows, err := race.Run(ctx, p)
	for _, r := range rows {
		err = errors.Join(err, r.Wrong())
	}
	return err
}
