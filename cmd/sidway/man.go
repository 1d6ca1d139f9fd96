package main

import (
	"fmt"
	"strings"
)

// man prints the manual page, in the macros of man(7).
func (c command) man(args []string) error {
	if len(args) > 0 {
		return &usageError{text: "man takes no arguments", help: "man"}
	}
	var b strings.Builder
	fmt.Fprintf(&b, ".TH SIDWAY 1 \"\" \"sidway %s\" \"User Commands\"\n", roff(buildVersion()))
	section := func(title, text string) { fmt.Fprintf(&b, ".SH %s\n%s", title, text) }
	section("NAME", "sidway \\- gateway for Socket.IO clusters\n")
	section("SYNOPSIS", ".B sidway\n.I command\n.RI [ flags ]\n")
	section("DESCRIPTION", verbatim(overview))
	told := ""
	for _, v := range verbs {
		if text := v.help(); text != overview && text != told {
			section("SIDWAY "+strings.ToUpper(v.name), verbatim(text))
			told = text
		}
	}
	section("SETTINGS", verbatim(settingsText()))
	section("SIGNALS", `.TP
.B SIGTERM
ends a replica gracefully, after
.BR shutdown.notice .
A second signal ends it at once.
.TP
.B SIGINT
does so without notice.
.TP
.B SIGHUP
has the settings read again.
.TP
.B SIGUSR1
has the file of the access log opened again.
.TP
.B SIGUSR2
has the program started again by its path, with the same arguments, which takes the listeners over; the older process keeps its
WebSockets until they end, or until
.BR shutdown.deadline .
A successor that fails changes nothing.
`)
	section("EXIT STATUS", "0 when all went well, 1 when it did not, and 2 when the command was not understood.\n")
	_, err := fmt.Fprint(c.stdout, b.String())
	return err
}

// verbatim has a text stand as it is.
func verbatim(text string) string { return ".nf\n" + roff(text) + ".fi\n" }

// roffEscapes has nothing in a text be a request or an escape.
var roffEscapes = strings.NewReplacer("\n.", "\n\\&.", "\\", "\\e", "-", "\\-", "'", "\\(aq", "`", "\\(ga", "^", "\\(ha", "~", "\\(ti", "…", "\\[u2026]")

// roff writes a text that begins with no dot.
func roff(text string) string { return roffEscapes.Replace(text) }
