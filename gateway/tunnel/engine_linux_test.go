package tunnel_test

import "github.com/sidway/sidway/gateway/tunnel"

var loopEngines = []made{{"loops", func() engine {
	l, err := tunnel.NewLoops(2)
	if err != nil {
		panic(err)
	}
	return l
}}}
