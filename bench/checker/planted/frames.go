package planted

func dropFrame(_ *Gateway, s *session, data []byte) [][]byte {
	if s.count(&s.frames) == 3 {
		return nil
	}
	return [][]byte{data}
}

func repeatFrame(_ *Gateway, s *session, data []byte) [][]byte {
	if s.count(&s.frames) == 3 {
		return [][]byte{data, data}
	}
	return [][]byte{data}
}

func swapFrames(_ *Gateway, s *session, data []byte) [][]byte {
	switch s.count(&s.frames) {
	case 3:
		s.keptFrame = data
		return nil
	case 4:
		return [][]byte{data, s.keptFrame}
	}
	return [][]byte{data}
}

// strayFrame gives one frame of each session to another one.
func strayFrame(g *Gateway, s *session, data []byte) [][]byte {
	third := s.count(&s.frames) == 3
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.kept.s != nil && g.kept.s != s:
		kept := g.kept.body
		g.kept = stray{}
		return [][]byte{data, kept}
	case third:
		g.kept = stray{s, answer{body: data}}
		return nil
	}
	return [][]byte{data}
}
