//go:build unix && !linux

package loop

// pollEnd is nothing where poll(2) has no word for the peer's end: it is found when what came before is read.
const pollEnd = 0
