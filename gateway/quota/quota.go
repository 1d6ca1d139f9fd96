// Package quota tells how many processors, and how much memory, the system lets this process use at the moment. Go's runtime asks for
// processors too, but only until somebody sets GOMAXPROCS, only at the innermost cgroup, and it takes every limit below two for two.
//
//	n := quota.Processors(os.DirFS("/"))
//	bytes := quota.Memory(os.DirFS("/"))
//
// It reads /proc and the cgroup filesystems of Linux, both versions. Where there is none it knows no limit.
package quota

import (
	"io/fs"
	"math"
	"math/bits"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Processors returns how many processors this process may use, at least 1: those that its affinity leaves it, and no more than
// the quota of its cgroup and of each one above it, rounded up. system is the root of the filesystem. What cannot be read
// limits nothing.
func Processors(system fs.FS) int {
	n := affinity(system)
	if q := lowest(system, "cpu", quotaOf, quotaOf1); q < float64(n) {
		n = int(math.Ceil(q))
	}
	return max(1, n)
}

// affinity counts the processors that the scheduler may choose from.
func affinity(system fs.FS) int {
	status, _ := fs.ReadFile(system, "proc/self/status")
	n := 0
	for line := range strings.Lines(string(status)) {
		mask, found := strings.CutPrefix(line, "Cpus_allowed:")
		for group := range strings.SplitSeq(mask, ",") {
			word, err := strconv.ParseUint(strings.TrimSpace(group), 16, 64)
			if found && err == nil {
				n += bits.OnesCount64(word)
			}
		}
	}
	if n == 0 {
		return runtime.NumCPU()
	}
	return n
}

// Memory returns how many bytes of memory this process may use, by its cgroup and each one above it; 0: as much as there is.
func Memory(system fs.FS) int64 {
	const none = 1 << 60 // version 1 says so by a number of pages near the largest
	q := lowest(system, "memory", bytesIn("memory.max"), bytesIn("memory.limit_in_bytes"))
	if q >= none {
		return 0
	}
	return int64(q)
}

// bytesIn returns what reads a file of a cgroup that holds a number of bytes, or "max" for none.
func bytesIn(name string) func(system fs.FS, dir string) float64 {
	return func(system fs.FS, dir string) float64 {
		text, _ := fs.ReadFile(system, path.Join(dir, name))
		return share(string(text), "1")
	}
}

// lowest returns the lowest limit of all cgroups that this process is in: of version 2 read by one function, and of version 1's controller by
// the other.
func lowest(system fs.FS, controller string, second, first func(fs.FS, string) float64) float64 {
	unified, own := memberships(system, controller)
	mounts, _ := fs.ReadFile(system, "proc/self/mountinfo")
	q := math.Inf(1)
	for line := range strings.Lines(string(mounts)) {
		// 32 31 0:29 /root /sys/fs/cgroup/cpu rw,relatime optional… - cgroup source rw,cpu,cpuacct
		mount, kind, _ := strings.Cut(line, " - ")
		at, what := strings.Fields(mount), strings.Fields(kind)
		if len(at) < 5 || len(what) < 3 {
			continue
		}
		group, read := "", second
		switch {
		case what[0] == "cgroup2":
			group = unified
		case what[0] == "cgroup" && slices.Contains(strings.Split(what[2], ","), controller):
			group, read = own, first
		}
		for dir := below(at[3], group); dir != ""; dir = parent(dir) {
			q = min(q, read(system, strings.TrimPrefix(path.Join(unescape.Replace(at[4]), dir), "/")))
		}
	}
	return q
}

// memberships returns the cgroup of version 2 and that of one of version 1's controllers, "" for none.
func memberships(system fs.FS, controller string) (unified, own string) {
	groups, _ := fs.ReadFile(system, "proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3) // 1:cpu,cpuacct:/docker/4c76, or 0::/docker/4c76
		switch {
		case len(f) < 3:
		case f[0] == "0":
			unified = f[2]
		case slices.Contains(strings.Split(f[1], ","), controller):
			own = f[2]
		}
	}
	return unified, own
}

// below returns where group is below a mount of root: "/" for the mount itself, "" where it is not below it.
func below(root, group string) string {
	rest, found := strings.CutPrefix(group, strings.TrimSuffix(root, "/"))
	if !found || rest != "" && rest[0] != '/' || strings.Contains(group, "/..") {
		return ""
	}
	return path.Join("/", rest)
}

// parent returns the directory above dir, "" above the uppermost.
func parent(dir string) string {
	if dir == "/" {
		return ""
	}
	return path.Dir(dir)
}

// unescape undoes how mountinfo writes a path.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// quotaOf reads cpu.max of version 2: "150000 100000", or "max 100000" for none.
func quotaOf(system fs.FS, dir string) float64 {
	text, _ := fs.ReadFile(system, path.Join(dir, "cpu.max"))
	quota, period, _ := strings.Cut(string(text), " ")
	return share(quota, period)
}

// quotaOf1 reads the two files of version 1, in which a quota of -1 is none.
func quotaOf1(system fs.FS, dir string) float64 {
	quota, _ := fs.ReadFile(system, path.Join(dir, "cpu.cfs_quota_us"))
	period, _ := fs.ReadFile(system, path.Join(dir, "cpu.cfs_period_us"))
	return share(string(quota), string(period))
}

func share(quota, period string) float64 {
	q, err := strconv.ParseUint(strings.TrimSpace(quota), 10, 63)
	p, errP := strconv.ParseUint(strings.TrimSpace(period), 10, 63)
	if err != nil || errP != nil || p == 0 {
		return math.Inf(1)
	}
	return float64(q) / float64(p)
}
