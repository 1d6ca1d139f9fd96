//go:build !linux

package affinitytest

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
