package shield

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Print is what a place looks like: one line for each thing that a test could leave behind, and how often it is there.
type Print map[string]int

// outside looks at what has no namespace, or is shared with the host, and has a name that the tests with this number give:
// others use the machine at the same time.
func outside(number int, keep Keep) Print {
	p := Print{}
	p.cgroups("/sys/fs/cgroup", func(name string) bool { return tests(name) && !anothers(name, number) })
	if keep&KeepNetwork != 0 {
		p.network(tests)
	}
	return p
}

// inside looks at all that the pretend host has: nobody else is there. proc is its /proc from before, which a test may have
// covered.
func inside(proc *os.Root, keep Keep) Print {
	p := Print{}
	p.mounts(proc)
	if keep&KeepNetwork == 0 {
		p.network(func(string) bool { return true })
	}
	if name, err := os.Hostname(); err == nil {
		p["hostname "+name]++
	}
	return p
}

func (p Print) mounts(proc *os.Root) {
	b, err := proc.ReadFile("self/mountinfo")
	if err != nil {
		return
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		head, tail, _ := strings.Cut(lines.Text(), " - ")
		h, t := strings.Fields(head), strings.Fields(tail)
		if len(h) < 6 || len(t) < 3 {
			continue
		}
		access, _, _ := strings.Cut(t[2], ",") // of the file system: ro or rw
		what := fmt.Sprintf("mount %s on %s (%s; %s)", t[0], h[4], h[5], access)
		if t[0] == "nsfs" {
			what = "namespace kept at " + h[4]
		}
		p[what]++
	}
}

// cgroups are those with nobody in them: a test's group that is in use belongs to another shield, because nobody of ours is left.
func (p Print) cgroups(root string, wanted func(name string) bool) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || !wanted(strings.TrimPrefix(path, root)) {
			return nil
		}
		if procs, err := os.ReadFile(filepath.Join(path, "cgroup.procs")); err == nil && len(procs) > 0 {
			return fs.SkipDir
		}
		p["cgroup "+path]++
		return nil
	})
}

func (p Print) network(wanted func(name string) bool) {
	links, _ := net.Interfaces() // none where the kernel has no network
	for _, l := range links {
		if wanted(l.Name) {
			p["link "+l.Name]++
		}
	}
	for _, table := range nftTables() {
		if wanted(table) {
			p["nftables table "+table]++
		}
	}
}

// tests tells whether a name is one that tests give.
func tests(name string) bool {
	return strings.Contains(name, "slipway") && strings.Contains(name, "test") || strings.Contains(name, "slipt") ||
		strings.HasPrefix(name, filepath.Join(os.TempDir(), "Test"))
}

// anothers tells whether a path has a process id in it that is not the tests' own. They put theirs first, behind a dash.
func anothers(name string, tests int) bool {
	m := pid.FindStringSubmatch(name)
	if m == nil {
		return false
	}
	n, err := strconv.Atoi(m[1])
	return err == nil && n <= maxPID && n != tests && tests != 0
}

var pid = regexp.MustCompile(`-([0-9]+)`)

const maxPID = 1 << 22 // PID_MAX_LIMIT, proc_sys_kernel(5)

// removed are the mounts whose directory is no longer there. Somebody else has removed it: the kernel then takes the mount out of
// every namespace (rmdir(2) of a directory that is a mount point elsewhere).
func (p Print) removed() Print {
	gone := Print{}
	for k, n := range p {
		m := mountPoint.FindStringSubmatch(k)
		if m == nil {
			continue
		}
		if _, err := os.Lstat(unescape.Replace(m[1] + m[2])); os.IsNotExist(err) {
			gone[k] = n
		}
	}
	return gone
}

var mountPoint = regexp.MustCompile(`^mount \S+ on (\S+) \(|^namespace kept at (\S+)`)

// unescape undoes what the kernel does to paths in mountinfo (proc_pid_mountinfo(5)).
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func (p Print) and(more Print) Print {
	for k, n := range more {
		p[k] = max(p[k], n)
	}
	return p
}

// Left lists what is there now and was not before, and what has gone, sorted.
func (p Print) Left(now Print) []string {
	var left []string
	for k, n := range now {
		if n > p[k] {
			left = append(left, k)
		}
	}
	for k, n := range p {
		if n > now[k] && !strings.HasPrefix(k, "cgroup ") { // somebody else's is nobody's business
			left = append(left, "gone: "+k)
		}
	}
	slices.SortFunc(left, func(a, b string) int { // what is new, then what has gone
		gone := func(s string) string { return strconv.FormatBool(strings.HasPrefix(s, "gone: ")) }
		return cmp.Or(strings.Compare(gone(a), gone(b)), strings.Compare(a, b))
	})
	return left
}
