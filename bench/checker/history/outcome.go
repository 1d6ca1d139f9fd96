package history

import (
	"slices"
	"time"
)

// excuse looks for the injury that explains the session's end.
func (j *judge) excuse(s *session) bool {
	if j.excused == nil {
		j.excused = make([]map[string][]*session, len(j.injuries))
	}
	for n, i := range j.injuries {
		if !i.ends(s) || i.Once && len(j.excused[n][s.client]) > 0 {
			continue
		}
		if j.excused[n] == nil {
			j.excused[n] = map[string][]*session{}
		}
		j.excused[n][s.client] = append(j.excused[n][s.client], s)
		return true
	}
	return false
}

// ends tells whether the injury explains that the session ended as it did.
func (i Injury) ends(s *session) bool {
	if s.ended < i.Began || s.ended > i.Ended {
		return false
	}
	if s.why == Cut {
		return i.Excuses == SessionsCut
	}
	switch i.Excuses {
	case Everybody:
		return true
	case SessionsOfNodes:
		return slices.Contains(i.Nodes, s.node)
	case SessionsOnReplicas:
		return i.has(s.fronts)
	}
	return false
}

// refuses tells whether the injury explains that a client got no session.
func (i Injury) refuses(e Event) bool {
	return i.Refuses || e.Status == 0 && i.Excuses == SessionsOnReplicas && i.has(e.Fronts)
}

// has tells whether one of the fronts is of a replica that is hurt.
func (i Injury) has(fronts []string) bool {
	return slices.ContainsFunc(fronts, func(f string) bool { return slices.Contains(i.Replicas, f) })
}

// mayEnd tells whether the session was one of those that the injury may end when it began.
func (i Injury) mayEnd(s *session) bool {
	if s.client == "" || s.began > i.Began || s.why != "" && s.ended < i.Began {
		return false
	}
	switch i.Excuses {
	case Everybody:
		return true
	case SessionsCut:
		return i.ends(s)
	case SessionsOfNodes:
		return slices.Contains(i.Nodes, s.node)
	case SessionsOnReplicas:
		front := ""
		for _, e := range s.on {
			if e.At <= i.Began {
				front = e.Fronts[0]
			}
		}
		return slices.Contains(i.Replicas, front) || i.ends(s)
	}
	return false
}

// outcomes sums up what each injury did, and judges how soon its clients were back.
func (j *judge) outcomes() {
	for n, i := range j.injuries {
		o := Outcome{Injury: i}
		for _, s := range j.order {
			if i.mayEnd(s) {
				o.Allowed++
			}
		}
		var back []time.Duration
		if j.excused != nil {
			for client, lost := range j.excused[n] {
				o.Lost += len(lost)
				at, ok := j.back(client, lost[0].ended)
				if !ok {
					j.find(NotBack, Event{At: lost[0].ended, SID: lost[0].sid, By: client}, "after %s", i.Fault)
					continue
				}
				back = append(back, at-i.Began)
			}
		}
		if len(back) > 0 {
			slices.Sort(back)
			o.Back = back[(len(back)*99+99)/100-1]
		}
		if i.Back > 0 && o.Back > i.Back {
			j.find(Late, Event{At: i.Began + o.Back}, "after %s: %v, allowed are %v", i.Fault, o.Back, i.Back)
		}
		j.v.Outcomes = append(j.v.Outcomes, o)
	}
}

// back returns when the client first had a session after it had lost one.
func (j *judge) back(client string, lost time.Duration) (time.Duration, bool) {
	n := slices.IndexFunc(j.connected[client], func(at time.Duration) bool { return at > lost })
	if n < 0 {
		return 0, false
	}
	return j.connected[client][n], true
}
