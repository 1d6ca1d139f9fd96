package e2e_test

import "syscall"

// diesWithTest has the kernel end a child whose test was killed before its cleanup could run.
func diesWithTest() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
