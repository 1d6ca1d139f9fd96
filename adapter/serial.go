package adapter

import "sync"

// serial runs functions one after the other, in order, on a goroutine that exists only while there are any. A function
// may wait for what it likes: nothing but the functions behind it waits for it.
type serial struct {
	mu      sync.Mutex
	queue   []func()
	running bool
}

// run queues fn and returns at once.
func (s *serial) run(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, fn)
	if !s.running {
		s.running = true
		go s.loop()
	}
}

func (s *serial) loop() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.running = false
			s.queue = nil
			s.mu.Unlock()
			return
		}
		fn := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		fn()
	}
}
