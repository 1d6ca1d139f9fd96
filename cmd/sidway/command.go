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
	env     []string // as os.Environ returns it
	stdout  io.Writer
	stderr  io.Writer
	hangups <-chan os.Signal // each SIGHUP; nil for none
	reopens <-chan os.Signal // each SIGUSR1, likewise
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
		return &usageError{text: "say what to do: serve, check, health, status, drain, undrain, release, reload or version"}
	}
	switch name, rest := args[0], args[1:]; name {
	case "serve":
		return c.serve(ctx, rest)
	case "check":
		return c.check(rest)
	case "health":
		return c.health(ctx, rest)
	case "status":
		return c.status(ctx, rest)
	case "drain", "undrain":
		return c.drain(ctx, name, rest)
	case "release":
		return c.release(ctx, rest)
	case "reload":
		return c.reloadRemote(ctx, rest)
	case "version", "-version", "--version":
		return c.version(rest)
	case "help", "-h", "-help", "--help":
		return c.help(rest)
	default:
		return &usageError{text: unknown("command ", name, []string{"serve", "check", "health", "status", "drain", "undrain", "release", "reload", "version", "help"})}
	}
}

// manyWords are too many to tell them all.
const manyWords = 10

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
	for i := 0; i < len(args); i++ {
		name, _, inline := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		f := fs.Lookup(name)
		switch {
		case !strings.HasPrefix(args[i], "-"):
			meant := flagFor(fs, args[i])
			if i > 0 && isFlag(fs, args[i-1]) {
				meant = args[i-1] + "=" + args[i]
			}
			return false, &usageError{text: fmt.Sprintf("%q stands alone; did you mean %s?", args[i], meant), help: fs.Name()}
		case name == "h" || name == "help":
			return true, nil
		case f == nil:
			return false, &usageError{text: unknown("flag --", name, flagNames(fs)), help: fs.Name()}
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
