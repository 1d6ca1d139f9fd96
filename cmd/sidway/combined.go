package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// combinedHandler writes lines about requests in Apache's combined format, with what that has no place for at their end:
//
//	192.0.2.7 - - [28/Nov/2026:09:04:12 +0000] "GET /socket.io/ HTTP/1.1" 200 118 "-" "Mozilla/5.0" request_id=9f… kind=poll
//	cluster=chat node=n1 sid=Ab3d took=0.003120 overhead=0.000041
//
// A WebSocket has one line, as in nginx: when it ends, with status 101, the bytes that its client got and the cause of its end.
type combinedHandler struct{ w io.Writer }

// Enabled implements slog.Handler.
func (combinedHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

// WithAttrs implements slog.Handler. Lines about requests have none.
func (h combinedHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup implements slog.Handler, likewise.
func (h combinedHandler) WithGroup(string) slog.Handler { return h }

// Handle implements slog.Handler.
func (h combinedHandler) Handle(_ context.Context, r slog.Record) error {
	said := make(map[string]string, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		said[a.Key] = a.Value.String()
		return true
	})
	if to, ended := said["bytes_to_client"]; ended {
		said["status"], said["bytes"] = strconv.Itoa(http.StatusSwitchingProtocols), to
	} else if said["status"] == strconv.Itoa(http.StatusSwitchingProtocols) {
		return nil
	}
	line := make([]byte, 0, 512)
	line = append(line, orDash(said["client"])...)
	line = append(line, " - - ["...)
	line = r.Time.AppendFormat(line, "02/Jan/2006:15:04:05 -0700")
	line = append(line, "] \""...)
	if said["method"] != "" {
		line = appendEscaped(line, said["method"]+" "+said["path"]+" "+said["protocol"])
	} else {
		line = append(line, '-')
	}
	line = append(line, "\" "...)
	line = append(append(append(line, said["status"]...), ' '), orDash(said["bytes"])...)
	for _, key := range []string{"referer", "user_agent"} {
		line = append(appendEscaped(append(line, " \""...), orDash(said[key])), '"')
	}
	for _, key := range []string{"request_id", "trace_id", "kind", "cluster", "node", "sid", "took", "overhead", "bytes_from_client", "cause", "reason"} {
		if v := said[key]; v != "" {
			line = append(append(append(line, ' '), key...), '=')
			line = appendEscaped(line, plainValue(key, v))
		}
	}
	_, err := h.w.Write(append(line, '\n'))
	return err
}

// plainValue is a value for programs: seconds for a duration, and the part of a sid that is told.
func plainValue(key, v string) string {
	switch key {
	case "took", "overhead":
		if d, err := time.ParseDuration(v); err == nil {
			return strconv.FormatFloat(d.Seconds(), 'f', 6, 64)
		}
	case "sid":
		return strings.TrimSuffix(v, "…")
	}
	return v
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// appendEscaped writes s so that it ends neither the line nor the quotes that it stands in, as nginx does.
func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c > '~':
			dst = append(dst, '\\', 'x', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
