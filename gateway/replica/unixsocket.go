package replica

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socketFile is the file of a Unix socket that this process has made.
type socketFile struct {
	path string
	info fs.FileInfo
}

// remove removes the file, unless it is another's by now.
func (f *socketFile) remove() {
	if f == nil {
		return
	}
	if info, err := os.Lstat(f.path); err == nil && os.SameFile(info, f.info) {
		_ = os.Remove(f.path) // one that stays is replaced by the next process
	}
}

// setMode changes who may open the socket. It leaves it where the mode is not said any more.
func (f *socketFile) setMode(mode fs.FileMode) {
	if f != nil && mode != 0 {
		_ = os.Chmod(f.path, mode) // it is ours
	}
}

// listenUnix listens on a Unix socket. A file that a dead process has left there is replaced.
func listenUnix(path string, mode fs.FileMode) (net.Listener, *socketFile, error) {
	l, err := bindUnix(path, mode)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err = removeStale(path); err == nil {
			l, err = bindUnix(path, mode)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	l.SetUnlinkOnClose(false) // the gateway has a descriptor of its own, and closes this one
	info, err := os.Lstat(path)
	if err == nil && mode != 0 {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		l.Close()
		return nil, nil, err
	}
	return l, &socketFile{path, info}, nil
}

// bindUnix makes the socket's file, which from the first moment nobody may open who may not by mode.
func bindUnix(path string, mode fs.FileMode) (*net.UnixListener, error) {
	var c net.ListenConfig
	if mode != 0 {
		c.Control = func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) { _ = unix.Fchmod(int(fd), uint32(mode)) }) // elsewhere than on Linux it is of no use
		}
	}
	l, err := c.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	return l.(*net.UnixListener), nil
}

// staleTime is how long whoever may listen on a socket has to take a connection.
const staleTime = time.Second

// removeStale removes a socket on which nobody listens any more.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there already and is no socket; remove it, or choose another path", path)
	}
	c, err := net.DialTimeout("unix", path, staleTime)
	switch {
	case err == nil:
		c.Close()
		return fmt.Errorf("a process listens on %s already: %w", path, syscall.EADDRINUSE)
	case errors.Is(err, syscall.ECONNREFUSED):
		err = os.Remove(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already, and it cannot be told whether a process listens there: %w", path, err)
	}
	return nil
}
