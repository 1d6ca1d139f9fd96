package notice

import (
	"log"
	"log/slog"
	"strings"
	"time"
)

// ServerLog returns the ErrorLog of an http.Server. It warns of each complaint once a minute: a server that finds no descriptor for a
// connection complains each second.
func ServerLog(to *slog.Logger) *log.Logger {
	return log.New(&complaints{to: to, told: Limiter[string]{Pause: time.Minute, Most: 16}}, "", 0)
}

type complaints struct {
	to   *slog.Logger
	told Limiter[string]
}

// Write implements io.Writer.
func (c *complaints) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if about, _, _ := strings.Cut(text, ";"); c.told.Due(about) { // when the server tries again comes behind it
		c.to.Warn(text)
	}
	return len(line), nil
}
