package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// server is a Socket.IO server of a process of its own, driven by lines of JSON.
type server struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	port int
	id   int
}

func startServer(args []string) (*server, error) {
	s := &server{cmd: exec.Command(args[0], args[1:]...)}
	s.cmd.Stderr = os.Stderr
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.in, s.out = in, bufio.NewReader(out)
	var ready struct{ Port int }
	line, err := s.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w", args[0], err)
	}
	s.port = ready.Port
	return s, nil
}

// do asks and waits for the answer.
func (s *server) do(method string, args ...any) (any, error) {
	s.id++
	if args == nil {
		args = []any{}
	}
	b, err := json.Marshal(map[string]any{"id": s.id, "target": map[string]any{}, "method": method, "args": args})
	if err != nil {
		return nil, err
	}
	if _, err := s.in.Write(append(b, '\n')); err != nil {
		return nil, err
	}
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	var answer struct {
		Value any
		Error string
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%s: %s", method, answer.Error)
	}
	return answer.Value, nil
}

// cpu is the processor time that the process has taken.
func (s *server) cpu() time.Duration {
	v, _ := s.do("cpu")
	us, _ := v.(float64)
	return time.Duration(us) * time.Microsecond
}

func (s *server) stop() {
	_ = s.in.Close()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}
