//go:build unix && !linux

package launch

import "syscall"

// apart keeps the terminal's signals from a child, which its parent tells when to end.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
