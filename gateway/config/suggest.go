package config

import "strings"

// Nearest returns the word that was most likely meant by text, or "" if none is near. The command suggests its own
// words by it too.
func Nearest(text string, words []string) string {
	const farthest = 64 // longer ones are nobody's slip of the finger
	if len(text) > farthest {
		return ""
	}
	text = strings.ToLower(strings.NewReplacer("-", "_", " ", "_").Replace(text))
	best, least := "", max(1, (len(text)+1)/3)+1
	for _, w := range words {
		if d := distance(text, w); d < least {
			best, least = w, d
		}
	}
	for _, w := range words {
		if best == "" && len(text) > 2 && (strings.HasPrefix(text, w) || strings.HasPrefix(w, text)) {
			best = w
		}
	}
	return best
}

// distance counts the letters to insert, delete or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
