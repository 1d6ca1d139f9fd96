package discover

// AskPort makes d ask servers at a port that a test may listen on.
func (d *DNS) AskPort(port string) *DNS {
	d.port = port
	return d
}
