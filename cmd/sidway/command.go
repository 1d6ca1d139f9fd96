package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sidway/sidway/gateway/config"
)

// The exit statuses.
const (
	statusOK    = 0
	statusError = 1
	statusUsage = 2
)

// command is one call of sidway with what it reads and writes.
type command struct {
	env       []string // as os.Environ returns it
	stdout    io.Writer
	stderr    io.Writer
	hangups   <-chan os.Signal // each SIGHUP; nil for none
	reopens   <-chan os.Signal // each SIGUSR1, likewise
	handovers <-chan os.Signal // each SIGUSR2, likewise
}

// verb is one of sidway's commands. What is run, helped with, completed and told in the manual is made of these.
type verb struct {
	name string
	run  func(c command, ctx context.Context, args []string) error
	help func() string
}

var verbs []verb

func init() { // help and completion tell of verbs
	is := func(text string) func() string { return func() string { return text } }
	verbs = []verb{
		{"serve", command.serve, serveUsage},
		{"check", func(c command, _ context.Context, args []string) error { return c.check(args) }, is(checkHelp)},
		{"health", command.health, is(healthHelp)},
		{"status", command.status, is(statusHelp)},
		{"trace", command.trace, is(traceHelp)},
		{"move", command.move, is(moveHelp)},
		{"drain", command.drain, is(drainHelp)},
		{"undrain", command.undrain, is(drainHelp)},
		{"release", command.release, is(releaseHelp)},
		{"guard", func(c command, _ context.Context, args []string) error { return c.guard(args) }, is(guardHelp)},
		{"reload", command.reloadRemote, is(reloadHelp)},
		{"completion", func(c command, _ context.Context, args []string) error { return c.completion(args) }, is(completionHelp)},
		{"man", func(c command, _ context.Context, args []string) error { return c.man(args) }, is(manHelp)},
		{"version", func(c command, _ context.Context, args []string) error { return c.version(args) }, is(overview)},
		{"help", func(c command, _ context.Context, args []string) error { return c.help(args) }, is(overview)},
	}
}

// names are what the commands are called.
func names() (all []string) {
	for _, v := range verbs {
		all = append(all, v.name)
	}
	return all
}

// askFlags as the only argument has a command return a flagsAsked, which its flags are read of.
const askFlags = "\x00"

type flagsAsked struct{ *flag.FlagSet }

func (flagsAsked) Error() string { return "asked for the flags" }

// flags returns those of a command, by name.
func (v verb) flags() (all []*flag.Flag) {
	var asked flagsAsked
	if errors.As(v.run(command{stdout: io.Discard, stderr: io.Discard}, context.Background(), []string{askFlags}), &asked) {
		asked.VisitAll(func(f *flag.Flag) { all = append(all, f) })
	}
	return all
}

// usageError is a call that was not understood.
type usageError struct {
	text string
	help string // the command whose help tells more
}

func (e *usageError) Error() string { return e.text }

// run does what args say and returns the exit status. Cancelling ctx ends a replica gracefully.
func (c command) run(ctx context.Context, args []string) int {
	err := c.dispatch(ctx, args)
	var usage *usageError
	switch {
	case err == nil:
		return statusOK
	case errors.As(err, &usage):
		fmt.Fprintf(c.stderr, "sidway: %s\n%s\n", usage.text, strings.TrimSpace("See: sidway help "+usage.help))
		return statusUsage
	}
	fmt.Fprintln(c.stderr, "sidway:", err)
	return statusError
}

func (c command) dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		all := names()
		return &usageError{text: "say what to do: " + strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]}
	}
	name := args[0]
	switch name {
	case "-h", "-help", "--help":
		name = "help"
	case "-version", "--version":
		name = "version"
	}
	for _, v := range verbs {
		if v.name == name {
			return v.run(c, ctx, args[1:])
		}
	}
	return &usageError{text: unknown("command ", args[0], names())}
}

// manyWords are too many to tell them all.
const manyWords = 15

// unknown says that a word is not known and which one was probably meant. What stands directly before each word.
func unknown(what, word string, words []string) string {
	_, dashes, _ := strings.Cut(what, " ")
	near := config.Nearest(word, words)
	for _, w := range words { // a flag without its section
		if near == "" && strings.HasSuffix(w, "."+strings.ReplaceAll(word, "_", "-")) {
			near = w
		}
	}
	switch {
	case near != "":
		return fmt.Sprintf("unknown %s%s; did you mean %s%s?", what, word, dashes, near)
	case len(words) > manyWords:
		return "unknown " + what + word
	}
	return fmt.Sprintf("unknown %s%s; there are %s%s", what, word, dashes, strings.Join(words, ", "+dashes))
}

// parse reads the flags of a command. wantsHelp tells that only help was asked for. Flags are looked at before package
// flag sees them, whose errors cannot be told apart but by their text.
func parse(fs *flag.FlagSet, args []string) (wantsHelp bool, err error) {
	fs.SetOutput(io.Discard)
	if len(args) == 1 && args[0] == askFlags {
		return false, flagsAsked{fs}
	}
	for i := 0; i < len(args); i++ {
		name, _, inline := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		f := fs.Lookup(name)
		switch {
		case !strings.HasPrefix(args[i], "-"):
			meant := flagFor(fs, args[i])
			if i > 0 && isFlag(fs, args[i-1]) {
				meant = args[i-1] + "=" + args[i]
			} else if !strings.ContainsAny(args[i], "./") { // no file and no address
				return false, &usageError{text: fmt.Sprintf("%q is one word too many", args[i]), help: fs.Name()}
			}
			return false, &usageError{text: fmt.Sprintf("%q stands alone; did you mean %s?", args[i], meant), help: fs.Name()}
		case name == "h" || name == "help":
			return true, nil
		case f == nil:
			return false, &usageError{text: unknownFlag(fs, name), help: fs.Name()}
		case inline || isSwitch(f):
		case i+1 == len(args) || isFlag(fs, args[i+1]):
			return false, &usageError{text: fmt.Sprintf("--%s needs a value, as --%s %s", name, name, f.Usage), help: fs.Name()}
		default:
			i++
		}
	}
	if err := fs.Parse(args); err != nil {
		return false, &usageError{text: err.Error(), help: fs.Name()}
	}
	return false, nil
}

// wordsOf takes up to so many arguments that stand for themselves out of args, whether flags come before or behind them.
func wordsOf(fs *flag.FlagSet, args []string, most int) (words, rest []string) {
	for i := 0; i < len(args); i++ {
		f := fs.Lookup(strings.TrimLeft(args[i], "-"))
		switch {
		case isWord(args[i]) && len(words) < most:
			words = append(words, args[i])
		case isFlag(fs, args[i]) && !isSwitch(f) && i+1 < len(args):
			rest = append(rest, args[i], args[i+1])
			i++
		default:
			rest = append(rest, args[i])
		}
	}
	return words, rest
}

// sidLength is that of engine.io's sids, some of which begin with a dash. Flags have no capitals.
const sidLength = 20

// isWord reports whether an argument stands for itself.
func isWord(arg string) bool {
	isSID := len(arg) >= sidLength && !strings.Contains(arg, "=") && arg != strings.ToLower(arg)
	return arg != askFlags && (!strings.HasPrefix(arg, "-") || isSID)
}

// isFlag reports whether an argument is the name of a flag.
func isFlag(fs *flag.FlagSet, arg string) bool {
	return strings.HasPrefix(arg, "-") && fs.Lookup(strings.TrimLeft(arg, "-")) != nil
}

func isSwitch(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

func flagNames(fs *flag.FlagSet) []string {
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

// unknownFlag is unknown of a flag. One that is written as its setting's key is meant by a shorter name, as --affinity.redis by --redis.
func unknownFlag(fs *flag.FlagSet, name string) string {
	for _, o := range config.Settings() {
		if strings.ReplaceAll(o.Key, "_", "-") == name && fs.Lookup(o.Flag) != nil {
			return fmt.Sprintf("unknown flag --%s; did you mean --%s?", name, o.Flag)
		}
	}
	return unknown("flag --", name, flagNames(fs))
}

// flagFor guesses the flag that was left out before a word.
func flagFor(fs *flag.FlagSet, word string) string {
	name := "config"
	switch scheme, _, _ := strings.Cut(word, "://"); {
	case strings.HasPrefix(scheme, "redis"):
		name = "redis"
	case scheme != word:
		name = "node"
	}
	if fs.Lookup(name) == nil {
		return "sidway " + fs.Name() + " without it"
	}
	return "--" + name + " " + word
}
