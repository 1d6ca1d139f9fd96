package api

// Judge sets the status's problems.
func (s *Status) Judge(before *Status) { s.judge(before) }
