// Package static serves the files below some directories over HTTP, on a loopback listener of its own, so that to the gateway
// they are one more node.
//
//	s, err := static.Serve([]static.Dir{{Prefix: "/assets/", Dir: "./public", MaxAge: time.Hour}}, log)
//	…                     // send requests whose path begins with /assets/ to s.Addr()
//	err = s.Update(dirs)  // other directories
//	s.Close(ctx)
//
// A path never leads out of its directory (os.Root), and no part of it may begin with a dot. Beside FILE there may be FILE.br
// and FILE.gz, which clients that accept the coding get in its place; to keep them up to date is up to who puts them there.
// Directories are shown by their index.html and never listed. Nothing is kept in memory or open between requests, so that a
// directory may be replaced at any time, by a symbolic link with another target for instance.
package static

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Dir is a directory and the paths of its files.
type Dir struct {
	Prefix string        // of the paths, such as /assets/; what follows names the file below Dir
	Dir    string        // whose symbolic links are followed up to here, and below only to what is in it
	MaxAge time.Duration // that clients may use a file without asking again
}

// check reports what is wrong with a directory that is to be served.
func (d *Dir) check() error {
	if !strings.HasPrefix(d.Prefix, "/") || !strings.HasSuffix(d.Prefix, "/") {
		return fmt.Errorf("static: the prefix %q does not begin and end with a slash", d.Prefix)
	}
	root, err := os.OpenRoot(d.Dir)
	if err != nil {
		return fmt.Errorf("static: %w", err)
	}
	return root.Close()
}

// files are the directories: the first whose prefix begins the path has the file.
type files []Dir

// serve answers a request. opened is told of each directory that was opened, or could not be.
func (all files) serve(w http.ResponseWriter, r *http.Request, opened func(*Dir, error)) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed)
		return
	}
	for i := range all {
		if rest, ok := strings.CutPrefix(r.URL.Path, all[i].Prefix); ok {
			all[i].serve(w, r, rest, opened)
			return
		}
	}
	fail(w, http.StatusNotFound)
}

// serve answers a request for what rest names below the directory.
func (d *Dir) serve(w http.ResponseWriter, r *http.Request, rest string, opened func(*Dir, error)) {
	name, ok := fileName(rest)
	if !ok {
		fail(w, http.StatusNotFound)
		return
	}
	root, err := os.OpenRoot(d.Dir)
	opened(d, err)
	if err != nil {
		fail(w, statusOf(err))
		return
	}
	defer root.Close()
	asDir := name == "." || strings.HasSuffix(rest, "/")
	if asDir {
		name = path.Join(name, "index.html")
	}
	f, err := open(root, name)
	switch {
	case err != nil:
		fail(w, statusOf(err))
		return
	case f.IsDir() && !asDir:
		f.Close()
		redirect(w, r)
		return
	case !f.Mode().IsRegular():
		f.Close()
		fail(w, http.StatusNotFound)
		return
	}
	coding := ""
	// A range is of the file itself: in the coded one nobody would know which bytes are meant.
	if r.Header.Get("Range") == "" {
		coding, f = f.coded(root, strings.Join(r.Header.Values("Accept-Encoding"), ","))
	}
	defer f.Close()
	d.send(w, r, f, coding)
}

// send answers with a file, of which the body is coded so.
func (d *Dir) send(w http.ResponseWriter, r *http.Request, f *file, coding string) {
	h := w.Header()
	h.Set("Content-Type", contentType(f.name))
	h.Set("Cache-Control", "max-age="+strconv.FormatInt(int64(d.MaxAge/time.Second), 10))
	h.Set("Vary", "Accept-Encoding")
	modified := f.ModTime()
	if modified.Unix() <= 1 { // some builders set all files to the beginning of time, which tells no two of them apart
		modified = time.Time{}
	} else {
		h.Set("ETag", f.tag(coding))
	}
	if coding != "" {
		h.Set("Content-Encoding", coding)
		w = &sized{w, f.Size()}
	}
	http.ServeContent(w, r, f.name, modified, f.File)
}

// sized announces the length of a coded body, which http.ServeContent does not.
type sized struct {
	http.ResponseWriter
	size int64
}

func (s *sized) WriteHeader(status int) {
	if status == http.StatusOK {
		s.Header().Set("Content-Length", strconv.FormatInt(s.size, 10))
	}
	s.ResponseWriter.WriteHeader(status)
}

// ReadFrom has the kernel send the file.
func (s *sized) ReadFrom(r io.Reader) (int64, error) { return io.Copy(s.ResponseWriter, r) }

// file is an open file, of which name is what the client asked for.
type file struct {
	*os.File
	fs.FileInfo
	name string
}

// open opens a file, or whatever else has that name: it does not wait for the other end of a pipe.
func open(root *os.Root, name string) (*file, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &file{f, info, name}, nil
}

// tag is the file's entity tag: strong, as its size and the time when it was written change with it.
func (f *file) tag(coding string) string {
	tag := strconv.FormatInt(f.ModTime().UnixNano(), 36) + "-" + strconv.FormatInt(f.Size(), 36)
	if coding != "" {
		tag += "-" + coding
	}
	return `"` + tag + `"`
}

// coded returns the best of what lies beside the file for a client that accepts these codings, else the file. The other one is
// closed.
func (f *file) coded(root *os.Root, accepts string) (string, *file) {
	for _, c := range acceptable(accepts) {
		if other, err := open(root, f.name+c.extension); err == nil {
			if other.Mode().IsRegular() {
				f.Close()
				other.name = f.name
				return c.name, other
			}
			other.Close()
		}
	}
	return "", f
}

// fileName returns the name of the file that a decoded path means. It is false where a part of the path is empty or begins with
// a dot, which .. does as well, and where it has a byte that is special to some system.
func fileName(rest string) (string, bool) {
	rest = strings.TrimSuffix(rest, "/")
	if rest == "" {
		return ".", true
	}
	for part := range strings.SplitSeq(rest, "/") {
		if part == "" || part[0] == '.' {
			return "", false
		}
	}
	return rest, !strings.ContainsAny(rest, "\x00\\")
}

// redirect sends the client from a directory to the same with a slash.
func redirect(w http.ResponseWriter, r *http.Request) {
	u := *r.URL
	u.Scheme, u.Host, u.User = "", "", nil
	u.Path += "/"
	if u.RawPath != "" {
		u.RawPath += "/"
	}
	w.Header().Set("Location", u.String())
	w.WriteHeader(http.StatusMovedPermanently)
}

// statusOf is what a client is told of a file that could not be opened. A path out of the directory does not exist.
func statusOf(err error) int {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return http.StatusForbidden
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		return http.StatusServiceUnavailable
	case errors.Is(err, syscall.EIO):
		return http.StatusInternalServerError
	}
	return http.StatusNotFound
}

func fail(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }
