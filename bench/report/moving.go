package report

// moves is the form of sidway whose sessions can move.
const moves = "sidway-moving"

// movings are targets of that form, beside the other one and beside nginx.
var movings = []struct {
	title, workload  string
	m                metric
	relay, nginx, at float64 // at is a limit without a rival; 0: none
}{
	{"event of 60 B, 200 tunnels, CPU", "event200", cpu, 1.15, 1, 0},
	{"event of 60 B, 2,000 tunnels, CPU", "event2000", cpu, 1.15, 1, 0},
	{"user memory per idle tunnel", "idleevents8000", user, 0, 0, 1.5},
}

// movingTable tells what it costs that frames are read, which a relay only copies.
func (r *Run) movingTable() table {
	t := table{head: []string{"work", "sessions move", "they do not", "ratio", "target", "", "nginx", "ratio", "target", ""}}
	for _, g := range movings {
		s := r.summary(g.m, g.workload, moves)
		if s.N == 0 {
			continue
		}
		row := []string{g.title, quantity(s.Median, g.m.unit)}
		nginx, _ := r.best(g.m, g.workload, Nginx)
		for _, beside := range []struct {
			proxy string
			limit float64
		}{{Sidway, g.relay}, {nginx, g.nginx}} {
			ratio := r.ratio(g.m, cell{g.workload, moves}, cell{g.workload, beside.proxy})
			row = append(row, quantity(r.summary(g.m, g.workload, beside.proxy).Median, g.m.unit), spread(ratio, ""))
			if beside.limit > 0 && ratio.N > 0 {
				row = append(row, "≤ "+number(beside.limit), verdict(g.m, ratio.Median, beside.limit))
			} else {
				row = append(row, "", "")
			}
		}
		if g.at > 0 {
			row[4], row[5] = "≤ "+quantity(g.at, g.m.unit), verdict(g.m, s.Median, g.at)
		}
		t.rows = append(t.rows, row)
	}
	return t
}
