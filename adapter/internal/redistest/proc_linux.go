package redistest

import "syscall"

// dieWithParent ends a server with the test binary, even where that is killed and runs no cleanup.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
