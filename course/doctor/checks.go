package doctor

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Checks is everything that is tried, in the order of the stages.
func Checks() []Check {
	return []Check{
		{Name: "Linux", Stages: "all", Vital: true, Outside: true, Remedy: "use a Linux machine or VM, kernel 5.10 or newer", VM: true, Try: kernel},
		{Name: "root", Affects: "all but those that are pure functions: oci.load, oci.state, oci.capabilities, oci.plan, oci.hooks, oci.seccomp, cg.cpu-max", Stages: "all", Outside: true, Remedy: "run as root: sudo make …; what needs root is skipped and counted", Try: root},
		{
			Name: "namespaces", Affects: "ns.*, rootfs.pivot, oci.start-gate, oci.kill, shim.*, mgr.tasks, daemon.*", Stages: "1, 4 to 7", Vital: true, VM: true, Remedy: "this container or sandbox forbids clone: use a VM",
			Clone: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP, Try: identity,
		},
		{
			Name: "user namespaces", Affects: "ns.userns-map, ns.join", Stages: "1, 4", VM: true, Clone: unix.CLONE_NEWUSER, Try: identity,
			Remedy: "sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns",
		},
		{Name: "system calls", Stages: "1, 3, 4", Vital: true, Outside: true, VM: true, Remedy: "a newer kernel: 5.10 has all of them but mount_setattr (5.12)", Try: calls},
		{Name: "cgroups", Affects: "cg.*, oci.start-gate, oci.kill", Stages: "2, 4 to 7", Vital: true, Outside: true, VM: true, Remedy: "mount cgroup2 on /sys/fs/cgroup, or use a VM", Try: cgroups},
		{Name: "overlay", Affects: "rootfs.overlay, rootfs.whiteouts", Stages: "3, 6, 7", Clone: unix.CLONE_NEWNS, VM: true, Remedy: "put the data root on ext4, xfs or btrfs; the copying snapshotter works meanwhile", Try: overlay},
		{Name: "pivot_root", Affects: "rootfs.pivot, oci.start-gate, oci.kill", Stages: "3, 4", Vital: true, Clone: unix.CLONE_NEWNS, VM: true, Remedy: "this sandbox forbids it: use a VM", Try: pivot},
		{Name: "seccomp", Stages: "4", Outside: true, VM: true, Remedy: "a kernel with CONFIG_SECCOMP_FILTER", Try: seccomp},
		{Name: "capabilities", Stages: "4, 7", Outside: true, VM: true, Remedy: "--privileged and higher limits get what is there, with a warning", Try: bounding},
		{Name: "AppArmor", Stages: "4", Outside: true, VM: true, Remedy: "boot with apparmor=1; profiles are passed over meanwhile", Try: apparmor},
		{Name: "bridge and veth", Affects: "daemon.net-bridge, daemon.net-publish", Stages: "7", Clone: unix.CLONE_NEWNET, VM: true, Remedy: "a kernel with bridge and veth; --network host and none work meanwhile", Try: links},
		{Name: "nftables", Affects: "daemon.net-bridge, daemon.net-publish", Stages: "7", Clone: unix.CLONE_NEWNET, VM: true, Remedy: "a kernel with nf_tables; published ports work on loopback meanwhile", Try: nft},
		{Name: "subordinate ids", Stages: "1", Outside: true, Remedy: "apt install uidmap; usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME", Try: subids},
		{Name: "disk", Stages: "3, 6, 7", Outside: true, Remedy: "2 GB free for images", Try: disk},
	}
}

func kernel() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %s, %s", unix.ByteSliceToString(u.Release[:]), runtime.GOARCH, runtime.Version()), nil
}

func root() (string, error) {
	if os.Geteuid() != 0 {
		return "", fmt.Errorf("user %d", os.Geteuid())
	}
	return "user 0", nil
}

// identity runs inside the new namespaces; that it runs is the proof.
func identity() (string, error) { return "created by trying", nil }

// calls looks for ENOSYS: any other refusal means that the call is there.
func calls() (string, error) {
	var lack []string
	for name, nr := range map[string]uintptr{
		"clone3": unix.SYS_CLONE3, "openat2": unix.SYS_OPENAT2, "pidfd_open": unix.SYS_PIDFD_OPEN,
		"fsopen": unix.SYS_FSOPEN, "close_range": unix.SYS_CLOSE_RANGE, "mount_setattr": unix.SYS_MOUNT_SETATTR,
	} {
		bad := ^uintptr(0)
		if _, _, e := unix.RawSyscall6(nr, bad, bad, bad, bad, bad, bad); errors.Is(e, unix.ENOSYS) {
			lack = append(lack, name)
		}
	}
	if len(lack) > 0 {
		return "", fmt.Errorf("the kernel lacks %s", strings.Join(lack, ", "))
	}
	return "clone3 openat2 pidfd_open fsopen close_range mount_setattr", nil
}

// cgroups makes a group with a memory limit wherever memory is mounted.
func cgroups() (string, error) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mountinfo)) {
		f := strings.Fields(line)
		_, fs, _ := strings.Cut(line, " - ")
		v2 := strings.HasPrefix(fs, "cgroup2 ")
		v1memory := strings.HasPrefix(fs, "cgroup ") && strings.Contains(fs, "memory")
		if !v2 && !v1memory {
			continue
		}
		if v2 {
			if c, _ := os.ReadFile(filepath.Join(f[4], "cgroup.controllers")); !strings.Contains(string(c), "memory") {
				continue
			}
		}
		group := filepath.Join(f[4], fmt.Sprintf("slipway-doctor-%d", os.Getpid()))
		if err := os.Mkdir(group, 0o755); err != nil {
			return "", err
		}
		mode := "v1"
		if v2 {
			mode = "v2"
		}
		return mode + ": a group was made and removed in " + f[4], os.Remove(group)
	}
	return "", errors.New("no hierarchy offers the memory controller")
}

func overlay() (string, error) {
	return tempDir(func(dir string) (string, error) {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return "", err
		}
		for _, d := range []string{"lower", "upper", "work", "merged"} {
			if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
				return "", err
			}
		}
		opts := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
		if err := unix.Mount("overlay", dir+"/merged", "overlay", 0, opts); err != nil {
			return "", fmt.Errorf("overlay on %s: %w", dir, err)
		}
		return "mounted on " + dir, unix.Unmount(dir+"/merged", 0)
	})
}

// pivot enters /usr as a root, in a mount namespace that ends with this process.
func pivot() (string, error) {
	for _, step := range []func() error{
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return unix.Mount("/usr", "/usr", "", unix.MS_BIND, "") },
		func() error { return unix.Chdir("/usr") },
		func() error { return unix.PivotRoot(".", ".") },
		func() error { return unix.Unmount(".", unix.MNT_DETACH) },
	} {
		if err := step(); err != nil {
			return "", err
		}
	}
	if _, err := os.Stat("/bin"); err != nil {
		return "", fmt.Errorf("the new root is not /usr: %w", err)
	}
	return "entered /usr as a root", nil
}

func seccomp() (string, error) {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	if err := unix.Prctl(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err != nil {
		return "", err
	}
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptrOf(&action))
	if e != 0 {
		return "", e
	}
	return "filters with SECCOMP_RET_ERRNO", nil
}

func bounding() (string, error) {
	var lack []string
	for name, c := range map[string]uintptr{"SYS_ADMIN": unix.CAP_SYS_ADMIN, "NET_ADMIN": unix.CAP_NET_ADMIN, "SYS_RESOURCE": unix.CAP_SYS_RESOURCE} {
		if has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); err != nil || has == 0 {
			lack = append(lack, "CAP_"+name)
		}
	}
	if len(lack) > 0 {
		return "", fmt.Errorf("not in the bounding set: %s", strings.Join(lack, ", "))
	}
	return "SYS_ADMIN NET_ADMIN SYS_RESOURCE", nil
}

func apparmor() (string, error) {
	b, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if err != nil || !strings.HasPrefix(string(b), "Y") {
		return "", errors.New("not active")
	}
	return "active", nil
}

func links() (string, error) {
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "sw-doctor"}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return "", fmt.Errorf("bridge: %w", err)
	}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "sw-doc0", MasterIndex: bridge.Index}, PeerName: "sw-doc1"}
	if err := netlink.LinkAdd(veth); err != nil {
		return "", fmt.Errorf("veth: %w", err)
	}
	return "made in a new network namespace", nil
}

func nft() (string, error) {
	c, err := nftables.New()
	if err != nil {
		return "", err
	}
	t := c.AddTable(&nftables.Table{Name: "sw_doctor", Family: nftables.TableFamilyIPv4})
	c.AddChain(&nftables.Chain{Name: "nat", Table: t, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	return "a nat chain in a new network namespace", c.Flush()
}

func subids() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile("/etc/subuid")
	if err != nil {
		return "", err
	}
	if os.Geteuid() != 0 && !strings.Contains("\n"+string(b), "\n"+u.Username+":") {
		return "", fmt.Errorf("/etc/subuid has no range for %s", u.Username)
	}
	return "/etc/subuid", nil
}

func disk() (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs("/var/lib", &st); err != nil {
		return "", err
	}
	free := st.Bavail * uint64(st.Bsize) >> 20
	if free < 2048 {
		return "", fmt.Errorf("%d MiB free in /var/lib", free)
	}
	return fmt.Sprintf("%d MiB free in /var/lib", free), nil
}
