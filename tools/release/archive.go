package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// file is one regular file of root's.
type file struct {
	data []byte
	mode fs.FileMode
}

// tree is files by their paths, which are relative and have slashes.
type tree map[string]file

// write lays the files into a directory, with their modes whatever the umask is.
func (t tree) write(dir string) error {
	for name, f := range t {
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, f.data, f.mode); err != nil {
			return err
		}
		if err := os.Chmod(to, f.mode); err != nil {
			return err
		}
	}
	return nil
}

// tar writes the files, and the directories above them, in the order of their paths.
func (t tree) tar(w io.Writer, at time.Time) error {
	out, dirs := tar.NewWriter(w), map[string]bool{".": true}
	var mkdir func(string) error
	mkdir = func(dir string) error {
		if dirs[dir] {
			return nil
		}
		dirs[dir] = true
		if err := mkdir(path.Dir(dir)); err != nil {
			return err
		}
		return out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: at})
	}
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if err := mkdir(path.Dir(name)); err != nil {
			return err
		}
		f := t[name]
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(f.mode), Size: int64(len(f.data)), ModTime: at}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := out.Write(f.data); err != nil {
			return err
		}
	}
	return out.Close()
}

// archive writes the files below one directory to a .tar.gz.
func (t tree) archive(name, dir string, at time.Time) error {
	below := tree{}
	for name, f := range t {
		below[path.Join(dir, name)] = f
	}
	var b bytes.Buffer
	if err := below.tar(&b, at); err != nil {
		return err
	}
	return os.WriteFile(name, compressed(b.Bytes()), 0o644)
}

// compressed is gzip's best, with neither a name nor a time in its header.
func compressed(data []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	w.Write(data) // a buffer takes all
	w.Close()
	return b.Bytes()
}

// readArchive reads the regular files of a .tar.gz.
func readArchive(name string) (tree, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return readTar(unzipped)
}

func readTar(r io.Reader) (tree, error) {
	all, in := tree{}, tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeReg {
			all[h.Name] = file{data, h.FileInfo().Mode().Perm()}
		}
	}
}

// readTree reads the regular files below a directory.
func readTree(dir string) (tree, error) {
	all := tree{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		all[filepath.ToSlash(rel)] = file{b, 0o644}
		return err
	})
	return all, err
}

// sums writes SHA256SUMS, for sha256sum --check.
func (r *release) sums() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(r.out, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(data), e.Name())
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(b.String()), 0o644)
}
