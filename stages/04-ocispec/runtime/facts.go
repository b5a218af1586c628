package runtime

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch/inherited"
	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/03-rootfs/enter"
	"github.com/slipway-engine/slipway/stages/04-ocispec/caps"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
	"github.com/slipway-engine/slipway/stages/04-ocispec/seccomp"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// ownFacts are those about this process and machine.
func ownFacts() (plan.Facts, error) {
	f := plan.Facts{Rootless: os.Geteuid() != 0, NoGroups: groupsDenied(), NoFile: [2]uint64{inherited.Nofile.Cur, inherited.Nofile.Max}}
	var err error
	if f.Arch, err = seccomp.Native(goruntime.GOARCH); err != nil {
		return f, err
	}
	head, data := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
	if err := unix.Capget(&head, &data[0]); err != nil {
		return f, fmt.Errorf("capget: %w", err)
	}
	f.Permitted = caps.Mask(data[0].Permitted) | caps.Mask(data[1].Permitted)<<32
	for n := range caps.Names() {
		if has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0); err == nil && has == 1 {
			f.Bounding |= 1 << n
		}
	}
	if enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled"); err == nil {
		f.AppArmor = strings.HasPrefix(string(enabled), "Y")
	}
	if _, err := os.Stat("/sys/fs/selinux/enforce"); err == nil {
		f.SELinux = true
	}
	return f, nil
}

// ownOOMScore is ours, where a process asks for one; nil where that cannot be read.
func ownOOMScore(p *specs.Process) *int {
	if p.OOMScoreAdj == nil {
		return nil
	}
	text, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return nil
	}
	score, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return nil
	}
	return &score
}

// groupsDenied reads what the kernel says of setgroups(2) in this user namespace: "allow" or "deny".
func groupsDenied() bool {
	fd, err := unix.Open("/proc/self/setgroups", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false // a kernel without user namespaces
	}
	defer unix.Close(fd)
	var b [1]byte
	n, err := unix.Read(fd, b[:])
	return err == nil && n == 1 && b[0] == 'd'
}

// Facts gathers what the plan of a configuration depends on. Nothing is made or changed.
func (rt *Runtime) Facts(s *specs.Spec, id string) (plan.Facts, *cgroup.Group, error) {
	f, err := ownFacts()
	if err != nil {
		return f, nil, err
	}
	if rt.forRoot { // explain: what root would do here
		f.Rootless, f.NoGroups, f.Bounding, f.Permitted = false, false, all(), all()
	}
	if spec.Has(s, specs.UserNamespace) { // inside it the child has everything that the kernel knows
		f.Bounding, f.Permitted = all(), all()
	}
	if err := canEnforce(s, f); err != nil {
		return f, nil, err
	}
	f.OOMScore = ownOOMScore(s.Process)
	f.Files = fileSources(s.Mounts)
	f.Modes, f.Targets = coveredModes(s), danglingTargets(s)
	f.Home = homeOf(s.Root.Path, s.Process.User.UID)
	if enter.Propagation(s.Linux.RootfsPropagation)&unix.MS_SHARED != 0 {
		if f.ParentMount, err = mountOf(s.Root.Path); err != nil {
			return f, nil, err
		}
	}
	group, err := rt.groupFor(s, id)
	if err != nil || group == nil {
		return f, nil, err
	}
	f.Cgroup = cgroupFacts(group, s)
	f.Cgroup.Moved, f.Cgroup.Kept = group.MovesIn(), group.Unit() != ""
	f.Cgroup.Born = f.Cgroup.Born && !f.Cgroup.Moved
	return f, group, nil
}

// all is every capability that this package knows.
func all() caps.Mask { return 1<<len(caps.Names()) - 1 }

// fileSources notes which sources of binds are not directories: their mount points have to be files too.
func fileSources(list []specs.Mount) map[string]bool {
	files := map[string]bool{}
	for _, m := range list {
		if enter.ParseOptions(m.Options).Bind() {
			if st, err := os.Stat(m.Source); err == nil && !st.IsDir() {
				files[m.Source] = true
			}
		}
	}
	return files
}

// coveredModes are the permissions of the image's directories that a tmpfs covers: it takes them over, so that an image's /tmp
// stays everybody's and its /root root's. What an earlier mount covers is not the image's.
func coveredModes(s *specs.Spec) map[string]uint32 {
	modes := map[string]uint32{}
	dir, err := unix.Open(s.Root.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return modes
	}
	defer unix.Close(dir)
	covered := map[string]bool{}
	for _, m := range s.Mounts {
		target := path.Clean("/" + m.Destination)
		if m.Type == "tmpfs" && !covered[target] && !coveredAbove(covered, target) {
			if mode, ok := modeIn(dir, target); ok {
				modes[target] = mode
			}
		}
		covered[target] = true
	}
	return modes
}

// coveredAbove tells whether a mount lies on a directory above a path.
func coveredAbove(covered map[string]bool, p string) bool {
	for p != "/" {
		p = path.Dir(p)
		if covered[p] {
			return true
		}
	}
	return false
}

func modeIn(root int, target string) (uint32, bool) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(root, strings.TrimPrefix(target, "/"), &how)
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, false
	}
	return st.Mode & 0o7777, true
}

// mountOf is the mount point that a path lies on: the longest of /proc/self/mountinfo that holds it.
func mountOf(dir string) (string, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	points, err := mountPoints()
	if err != nil {
		return "", err
	}
	best := "/"
	for _, p := range points {
		if (dir == p.point || strings.HasPrefix(dir, p.point+"/")) && len(p.point) >= len(best) {
			best = p.point
		}
	}
	return best, nil
}

func cgroupFacts(g *cgroup.Group, s *specs.Spec) plan.CgroupFacts {
	f := plan.CgroupFacts{Path: g.Path(), V2: g.Layout().Mode() == cgroup.V2}
	shown := s != nil && slices.ContainsFunc(s.Mounts, func(m specs.Mount) bool { return m.Type == "cgroup" })
	for _, d := range g.Dirs() {
		if d.Version == 2 {
			// On a hybrid machine it is born in the v2 tree, too: moving it there later would stop all forks of the machine for a
			// moment (kernel: cgroup_attach_lock).
			f.Born, f.Dir = true, d.Path
			continue
		}
		f.Files++
		if shown {
			f.Mounted = append(f.Mounted, plan.CgroupMount{Name: path.Base(d.Mount), Group: d.Path, Data: selection(d.Controllers)})
		}
	}
	return f
}

// selection are the mount options that select a v1 hierarchy (cgroups(7), "Mounting v1 controllers").
func selection(controllers []string) string {
	list := strings.Join(controllers, ",")
	if strings.HasPrefix(list, "name=") {
		return "none," + list
	}
	return list
}

// mountPoint is a line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
type mountPoint struct{ point, kind string }

func mountPoints() ([]mountPoint, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var list []mountPoint
	for line := range strings.Lines(string(text)) {
		left, right, _ := strings.Cut(line, " - ")
		a, b := strings.Fields(left), strings.Fields(right)
		if len(a) > 4 && len(b) > 0 {
			list = append(list, mountPoint{unescape(a[4]), b[0]})
		}
	}
	return list, nil
}

// unescape turns the octal numbers that stand for blanks in a line of mountinfo back into what they stand for.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
