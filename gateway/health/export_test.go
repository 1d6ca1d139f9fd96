package health

// ParseWords returns what parseWords makes of text.
func ParseWords(text string) (drain bool, weight float64) {
	w := parseWords(text)
	return w.drain, w.weight
}

// MaxInFlight is maxInFlight.
const MaxInFlight = maxInFlight
