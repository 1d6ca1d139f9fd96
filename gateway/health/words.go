package health

import (
	"strconv"
	"strings"
)

// words are what a node says of itself.
type words struct {
	drain  bool
	weight float64
}

// quiet is what a node says that says nothing.
var quiet = words{weight: 1}

// parseWords reads an agent's words, which are HAProxy's: drain, ready, and a weight as 50% or weight=50%, from 0% to 100%, in any
// order and case, with commas or spaces between them. A text with anything else in it says nothing, such as "ready to serve".
func parseWords(text string) words {
	w := quiet
	for word := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return strings.ContainsRune(" \t\r,", r) }) {
		switch word {
		case "drain":
			w.drain = true
		case "ready":
			w.drain = false
		default:
			digits, percent := strings.CutSuffix(strings.TrimPrefix(word, "weight="), "%")
			n, err := strconv.ParseUint(digits, 10, 8)
			if !percent || err != nil || n > 100 {
				return quiet
			}
			w.weight = float64(n) / 100
		}
	}
	return w
}
