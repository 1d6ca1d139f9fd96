package quota_test

import (
	"runtime"
	"testing"
	"testing/fstest"

	"github.com/sidway/sidway/gateway/quota"
)

// files is a filesystem of these texts.
type files map[string]string

func (f files) system() fstest.MapFS {
	system := fstest.MapFS{}
	for name, text := range f {
		system[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return system
}

const (
	status  = "Name:\tsidway\nCpus_allowed:\tff,00000000\nCpus_allowed_list:\t32-39\n" // eight processors
	unified = "25 30 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	cpu     = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n" +
		"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n" +
		"34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
)

func TestProcessors(t *testing.T) {
	for name, tt := range map[string]struct {
		files files
		want  int
	}{
		"nothing to read":    {files{}, runtime.NumCPU()},
		"affinity alone":     {files{"proc/self/status": status}, 8},
		"a mask of no sense": {files{"proc/self/status": "Cpus_allowed:\tx\n"}, runtime.NumCPU()},
		"v2, a container's own namespace": {files{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": unified, "sys/fs/cgroup/cpu.max": "150000 100000\n",
		}, 2},
		"v2, less than one": {files{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": unified, "sys/fs/cgroup/cpu.max": "1000 100000\n",
		}, 1},
		"v2, more than there are": {files{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": unified, "sys/fs/cgroup/cpu.max": "6400000 100000\n",
		}, 8},
		"v2, the pod's limit is lower than the container's": {files{
			"proc/self/cgroup": "0::/kubepods/pod1/c1\n", "proc/self/mountinfo": unified,
			"sys/fs/cgroup/kubepods/cpu.max": "max 100000\n", "sys/fs/cgroup/kubepods/pod1/cpu.max": "300000 100000\n",
			"sys/fs/cgroup/kubepods/pod1/c1/cpu.max": "500000 100000\n", "sys/fs/cgroup/other/cpu.max": "100000 100000\n",
		}, 3},
		"v2, mounted from inside": {files{
			"proc/self/cgroup": "0::/docker/4c/app\n", "proc/self/mountinfo": "25 30 0:26 /docker/4c /a\\040b rw - cgroup2 cgroup2 rw\n",
			"a b/cpu.max": "400000 100000", "a b/app/cpu.max": "max 100000",
		}, 4},
		"v2, a mount of another group": {files{
			"proc/self/cgroup": "0::/docker/4c\n", "proc/self/mountinfo": "25 30 0:26 /docker/4 /g rw - cgroup2 cgroup2 rw\n",
			"g/cpu.max": "100000 100000", "g/c/cpu.max": "100000 100000",
		}, 8},
		"v2, outside its namespace": {files{
			"proc/self/cgroup": "0::/../4c\n", "proc/self/mountinfo": unified, "sys/fs/cgroup/cpu.max": "100000 100000",
		}, 8},
		"v1": {files{
			"proc/self/cgroup": "3:cpuset:/x\n2:cpu,cpuacct:/a/b:c\n", "proc/self/mountinfo": cpu,
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "25000\n", "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "5000\n",
			"sys/fs/cgroup/cpu,cpuacct/a/b:c/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu,cpuacct/a/b:c/cpu.cfs_period_us": "100000\n",
		}, 5},
		"v1 beside v2": {files{
			"proc/self/cgroup": "1:cpu,cpuacct:/a\n0::/a\n", "proc/self/mountinfo": cpu + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "200000\n", "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
		}, 2},
		"a period of nothing": {files{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": unified, "sys/fs/cgroup/cpu.max": "100000 0\n",
		}, 8},
	} {
		if _, other := tt.files["proc/self/status"]; !other && len(tt.files) > 0 {
			tt.files["proc/self/status"] = status
		}
		if got := quota.Processors(tt.files.system()); got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
}

// Whatever the files say, there is a processor, and never more than the affinity leaves.
func FuzzProcessors(f *testing.F) {
	f.Add("0::/a/b\n", unified, "150000 100000")
	f.Add("1:cpu:/a/../b\n0::/..", cpu, "-1")
	f.Add("0::", "1 2 3 / /sys/fs/cgroup - cgroup2 a b", "max")
	f.Fuzz(func(t *testing.T, groups, mounts, limit string) {
		system := files{
			"proc/self/status": status, "proc/self/cgroup": groups, "proc/self/mountinfo": mounts,
			"sys/fs/cgroup/cpu.max": limit, "sys/fs/cgroup/a/cpu.max": limit, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": limit,
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
		}.system()
		if n := quota.Processors(system); n < 1 || n > 8 {
			t.Errorf("%d processors", n)
		}
	})
}

func TestMemory(t *testing.T) {
	const v1 = "33 31 0:30 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
	for name, tt := range map[string]struct {
		files files
		want  int64
	}{
		"nothing to read": {files{}, 0},
		"v2":              {files{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": unified, "sys/fs/cgroup/memory.max": "536870912\n"}, 512 << 20},
		"v2, no limit":    {files{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": unified, "sys/fs/cgroup/memory.max": "max\n"}, 0},
		"v2, the pod's is lower": {files{
			"proc/self/cgroup": "0::/pod/c\n", "proc/self/mountinfo": unified,
			"sys/fs/cgroup/pod/memory.max": "1000\n", "sys/fs/cgroup/pod/c/memory.max": "2000\n",
		}, 1000},
		"v1": {files{
			"proc/self/cgroup": "4:memory:/a\n2:cpu:/b\n", "proc/self/mountinfo": cpu + v1,
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "3000\n",
		}, 3000},
		"v1, no limit": {files{
			"proc/self/cgroup": "4:memory:/\n", "proc/self/mountinfo": v1, "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 0},
	} {
		if got := quota.Memory(tt.files.system()); got != tt.want {
			t.Errorf("%s: %d bytes, want %d", name, got, tt.want)
		}
	}
}
