package runtime

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/caps"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// namespaceFiles are the names below /proc/PID/ns.
func namespaceFiles() map[specs.LinuxNamespaceType]string {
	return map[specs.LinuxNamespaceType]string{
		specs.PIDNamespace: "pid", specs.NetworkNamespace: "net", specs.MountNamespace: "mnt", specs.IPCNamespace: "ipc",
		specs.UTSNamespace: "uts", specs.UserNamespace: "user", specs.CgroupNamespace: "cgroup", specs.TimeNamespace: "time",
	}
}

func cloneFlag(kind specs.LinuxNamespaceType) uintptr {
	return map[specs.LinuxNamespaceType]uintptr{
		specs.PIDNamespace: unix.CLONE_NEWPID, specs.NetworkNamespace: unix.CLONE_NEWNET, specs.MountNamespace: unix.CLONE_NEWNS,
		specs.IPCNamespace: unix.CLONE_NEWIPC, specs.UTSNamespace: unix.CLONE_NEWUTS, specs.UserNamespace: unix.CLONE_NEWUSER,
		specs.CgroupNamespace: unix.CLONE_NEWCGROUP, specs.TimeNamespace: unix.CLONE_NEWTIME,
	}[kind]
}

// differing lists the kinds in which a process is in another namespace than we are: joining one's own is an error for some.
func differing(pid int) ([]specs.LinuxNamespaceType, error) {
	var list []specs.LinuxNamespaceType
	files := namespaceFiles()
	for _, kind := range []specs.LinuxNamespaceType{
		specs.UserNamespace, specs.PIDNamespace, specs.NetworkNamespace, specs.MountNamespace, specs.IPCNamespace,
		specs.UTSNamespace, specs.CgroupNamespace, specs.TimeNamespace,
	} {
		theirs, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/" + files[kind])
		if os.IsNotExist(err) && kind == specs.TimeNamespace {
			continue // a kernel without them
		} else if err != nil {
			return nil, err
		}
		ours, err := os.Readlink("/proc/self/ns/" + files[kind])
		if err != nil {
			return nil, err
		}
		if ours != theirs {
			list = append(list, kind)
		}
	}
	return list, nil
}

// holdTarget opens a process for the child to join, and makes the thread that will clone a member of its pid namespace.
func holdTarget(r *launch.Run, p *state.Process, slot launch.Slot, pidNamespace bool) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	r.Hold(slot, f)
	if p.StartTime != 0 && !p.Alive() {
		return unix.ESRCH
	}
	if !pidNamespace {
		return nil
	}
	r.Taint()
	return unix.Setns(fd, unix.CLONE_NEWPID)
}

// bounding is a process's bounding set (proc_pid_status(5), CapBnd): what nobody descended from it can have more than.
func bounding(pid int) (caps.Mask, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(text), "\nCapBnd:")
	line, _, _ := strings.Cut(rest, "\n")
	set, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	if !found || err != nil {
		return 0, fmt.Errorf("%s: no CapBnd", path)
	}
	return caps.Mask(set), nil
}
