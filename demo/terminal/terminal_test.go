package terminal_test

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/demo/terminal"
)

// said runs a story on a terminal and returns the messages that it shows.
func said(t *testing.T, o terminal.Options, story func(log *slog.Logger)) (messages []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		story(slog.New(terminal.New(&b, o)).With("process", "r1"))
		synctest.Wait()
		for _, line := range strings.Split(strings.TrimSpace(b.String()), "\n") {
			if line != "" && !strings.Contains(line, "process=r1") {
				t.Errorf("who says %q?", line)
			}
			if m := regexp.MustCompile(`msg="([^"]+)"`).FindStringSubmatch(line); m != nil {
				messages = append(messages, m[1])
			}
		}
	})
	return messages
}

const (
	late  = "redis does not answer in time, so new bindings are kept here"
	slow  = "redis is slow, so new bindings are kept here"
	again = "redis is used again"
)

func change(log *slog.Logger, state string) {
	log.Debug("the store of bindings changed its state", "cluster", "demo", "state", state)
}

func TestALateAnswerIsNotTold(t *testing.T) {
	got := said(t, terminal.Options{}, func(log *slog.Logger) {
		for range 3 {
			log.Warn(late, "state", "down")
			change(log, "write_only")
			time.Sleep(terminal.Patience / 2)
			change(log, "recovering")
			time.Sleep(10 * terminal.Patience)
			log.Info(again)
		}
		log.Info("this is no warning")
		log.Warn("this is one")
	})
	if strings.Join(got, "|") != "this is one" {
		t.Errorf("%q", got)
	}
}

func TestAnOutageIsToldAndItsEndOnce(t *testing.T) {
	story := func(log *slog.Logger) {
		for range 2 {
			log.Warn("redis is away: entries are kept")
			log.Warn("subscription lost")
			log.Warn(late)
			change(log, "down")
			time.Sleep(2 * terminal.Patience)
			log.Warn(slow)
			change(log, "recovering")
			log.Info(again)
			log.Info(again)
		}
	}
	if got := said(t, terminal.Options{}, story); strings.Join(got, "|") != strings.Join([]string{late, slow, again, late, slow, again}, "|") {
		t.Errorf("%q", got)
	}
	if got := said(t, terminal.Options{Silent: true}, story); len(got) > 0 {
		t.Errorf("silent, but: %q", got)
	}
}

func TestAnOutageThatIsNotOverIsTold(t *testing.T) {
	got := said(t, terminal.Options{}, func(log *slog.Logger) {
		log.Warn("redis does not answer: what is said waits")
		time.Sleep(terminal.Patience + time.Millisecond)
	})
	if strings.Join(got, "|") != "redis does not answer: what is said waits" {
		t.Errorf("%q", got)
	}
}
