package launch

import "syscall"

// apart keeps the terminal's signals from a child, which its parent tells when to end, and has the kernel end it with its
// parent.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
