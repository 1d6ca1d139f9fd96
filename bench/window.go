//go:build linux

package main

import (
	"context"
	"errors"
	"time"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/report"
)

// window does the work of one sample on a stage and fills in what it spent. Memory is read while the connections stand.
func (b *bench) window(ctx context.Context, st *stage, w report.Workload, s *report.Sample) (err error) {
	before, err := st.read()
	if err != nil {
		return err
	}
	loads, err := b.startLoads(ctx, st, w)
	defer func() {
		for _, l := range loads {
			err = errors.Join(err, l.close())
		}
	}()
	if err != nil {
		return err
	}
	begin, err := st.spent(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	results, err := runAll(loads)
	if err != nil {
		return err
	}
	end, err := st.spent(ctx)
	if err != nil {
		return err
	}
	if err := resumptions(w, results[0]); err != nil {
		return err
	}
	if s.Result = results[0]; len(results) > 1 {
		s.Beside = &results[1]
	}
	s.CPU, s.RedisCPU = (end.proxy - begin.proxy).Seconds(), (end.redis - begin.redis).Seconds()
	s.Span = time.Since(began).Seconds()
	s.Commands = end.commands.less(begin.commands)
	after, err := st.read()
	if err != nil {
		return err
	}
	s.Anon, s.PSS, s.Peak = after.proxy.Anon-before.proxy.Anon, after.proxy.PSS, after.proxy.Peak
	s.Kernel = after.kernel.Total() - before.kernel.Total()
	return nil
}

// startLoads starts the load of a workload, and then what comes beside it. The caller closes those that were started.
func (b *bench) startLoads(ctx context.Context, st *stage, w report.Workload) (loads []*loader, err error) {
	jobs := []load.Job{st.job(w)}
	if w.Beside != nil {
		jobs = append(jobs, st.job(report.Workload{Job: *w.Beside}))
	}
	for _, j := range jobs {
		l, err := startLoad(ctx, b.exe, j)
		if err != nil {
			return loads, err
		}
		loads = append(loads, l)
	}
	return loads, nil
}

// runAll lets all of them measure at the same time.
func runAll(loads []*loader) ([]load.Result, error) {
	results, errs := make([]load.Result, len(loads)), make([]error, len(loads))
	done := make(chan struct{})
	for i, l := range loads {
		go func() {
			results[i], errs[i] = l.run()
			done <- struct{}{}
		}()
	}
	for range loads {
		<-done
	}
	return results, errors.Join(errs...)
}
