package tunnel

// Frame says what b is taken for.
func Frame(b []byte) (ping, pong, closes bool) {
	closes, _ = endsInClose(b)
	return isPing(b), isPong(b), closes
}

// ClientCloses reports whether b, of a client, is taken for the end of what it says.
func ClientCloses(b []byte) bool { return clientEndsInClose(b) }

// CloseCode is the code that is read in a Close frame.
func CloseCode(b []byte) uint16 {
	_, code := endsInClose(b)
	return code
}
