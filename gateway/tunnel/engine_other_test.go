//go:build !linux

package tunnel_test

var loopEngines []made // there, Loops are Goroutines
