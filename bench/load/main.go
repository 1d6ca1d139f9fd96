//go:build linux

// Package load makes the load of one benchmark run and measures what its operations took.
package load

import (
	"errors"
	"io"
)

// Main reads a Job, a line of JSON, from stdin, opens its connections, warms up, writes {"ready":true}, waits for the
// line "go", runs, and writes the Result, a line of JSON. Its connections stay open until stdin ends; then it returns.
func Main(stdin io.Reader, stdout io.Writer) error {
	return errors.New("load: under construction")
}
