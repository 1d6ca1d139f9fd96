package main

import (
	"context"
	"os"
	"time"

	"github.com/sidway/sidway/gateway/replica"
)

// watchEvery is how often the file of settings is looked at. It is asked for by its name, so that one that is replaced, or reached by
// a symbolic link as in a Kubernetes ConfigMap, is found too.
const watchEvery = time.Second

// reload has r read its settings again on each SIGHUP and when the file has changed, until ctx is done.
func (c command) reload(ctx context.Context, r *replica.Replica, file string) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	read := fileOf(file)
	last := read
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.hangups:
			read = fileOf(file)
			_ = r.Reload("SIGHUP") // which logs what is wrong
		case <-tick.C:
			now := fileOf(file)
			if now != read && now == last { // it has been the same for a while: nobody is still writing it
				read = now
				_ = r.Reload("change of " + file)
			}
			last = now
		}
	}
}

// version tells one state of a file from another.
type version struct {
	modified time.Time
	size     int64
}

// fileOf returns the zero version where there is no file.
func fileOf(name string) version {
	if name == "" {
		return version{}
	}
	info, err := os.Stat(name)
	if err != nil {
		return version{}
	}
	return version{info.ModTime(), info.Size()}
}
