//go:build linux

package stage

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// enclosed is set in the environment of a process that Enclose has started.
const enclosed = "CHECKER_STAGE"

// Enclose runs this program once more, in namespaces of its own for the network, for processes and for what is mounted, and
// returns its exit status: whatever it starts is gone when it ends, even by SIGKILL. In that process it returns -1.
func Enclose() (int, error) {
	if os.Getenv(enclosed) != "" {
		return -1, mountProc()
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), enclosed+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	// It is told of what ends this process, and ends itself.
	told := make(chan os.Signal, 1)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(told)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("stage: namespaces, for which one has to be root: %w", err)
	}
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-told:
			_ = cmd.Process.Signal(s)
		case err := <-ended:
			if err != nil && !errors.As(err, new(*exec.ExitError)) {
				return 0, fmt.Errorf("stage: %w", err)
			}
			return cmd.ProcessState.ExitCode(), nil
		}
	}
}

// mountProc lets /proc show the processes of this namespace, and nobody else of it.
func mountProc() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("stage: /proc: %w", err)
	}
	return nil
}
