//go:build linux

// Package clock lets the clock of one process of Go be wrong. What other means there are (settimeofday, libfaketime) change that of
// the whole machine, or need a C library, which sidway does not have. So the program is built with a package time in which Now adds
// what a file says, and nothing else is changed: timers and time spans go by another clock, which no operator can set.
//
//	overlay, err := clock.Overlay(dir)
//	… go build -overlay overlay …
//	cmd.Env = append(os.Environ(), clock.Variable+"="+file)
//	err = clock.Set(file, time.Hour)
package clock

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Variable names the file in a process's environment. It has to exist when the process starts.
const Variable = "CHECKER_CLOCK"

// Set says how wrong the clock is of those who look at the file, and makes it if need be. It counts whole seconds.
func Set(file string, by time.Duration) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(by/time.Second)), 0)
	return errors.Join(err, f.Close())
}

// jump is what package time gets beside its own files.
const jump = `package time

import (
	"syscall"
	"unsafe"
)

var jumped = func() *int64 {
	path, set := syscall.Getenv("` + Variable + `")
	if !set {
		return new(int64)
	}
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	page, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return (*int64)(unsafe.Pointer(&page[0]))
}()
`

// Overlay writes into dir what go build -overlay needs, and returns the file to give to it.
func Overlay(dir string) (string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("clock: %w", err)
	}
	pkg := filepath.Join(string(bytes.TrimSpace(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(pkg, "time.go"))
	if err != nil {
		return "", fmt.Errorf("clock: %w", err)
	}
	was := []byte("func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n")
	if bytes.Count(text, was) != 1 {
		return "", errors.New("clock: this Go has another time.Now")
	}
	text = bytes.Replace(text, was, append(was, "\tif jumped != nil {\n\t\tsec += *jumped\n\t}\n"...), 1)
	replace := map[string]string{}
	for name, content := range map[string][]byte{"time.go": text, "jump.go": []byte(jump)} {
		file := filepath.Join(dir, "clock-"+name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return "", fmt.Errorf("clock: %w", err)
		}
		replace[filepath.Join(pkg, name)] = file
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("clock: %w", err)
	}
	file := filepath.Join(dir, "clock.json")
	return file, os.WriteFile(file, list, 0o600)
}
