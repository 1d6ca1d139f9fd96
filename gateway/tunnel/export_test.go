package tunnel

// Frame says what b is taken for.
func Frame(b []byte) (ping, pong, closes bool) { return isPing(b), isPong(b), endsInClose(b) }
