package main

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// keptCapabilities are those that Docker leaves to root in a container, but for CAP_MKNOD: there, a device cgroup says which
// devices may be used; here, whoever can make the node of a disk has the disk.
func keptCapabilities() []uint {
	return []uint{
		unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL, unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_SETPCAP,
		unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW, unix.CAP_SYS_CHROOT, unix.CAP_AUDIT_WRITE, unix.CAP_SETFCAP,
	}
}

// maskedPaths and readonlyPaths are the parts of /proc and /sys through which root inside would change the machine: no capability
// is asked for there, the files' owner is enough.
func maskedPaths() []string {
	return []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
		"/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
	}
}

func readonlyPaths() []string {
	return []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}

// permitted are the capabilities that this process may have.
func permitted() (uint64, error) {
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("capget: %w", err)
	}
	return uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32, nil
}

// limitCapabilities takes from the bounding set what is not kept, while it may (capabilities(7): it needs CAP_SETPCAP). have is what
// there is at all.
func limitCapabilities(have uint64) launch.Step {
	keep := mask(have)
	code := []launch.Instr{launch.Call(unix.SYS_PRCTL, launch.Int(unix.PR_CAP_AMBIENT), launch.Int(unix.PR_CAP_AMBIENT_CLEAR_ALL), launch.Int(0), launch.Int(0), launch.Int(0))}
	for n := range 64 {
		if keep>>n&1 == 0 { // a number that the kernel does not know is EINVAL
			code = append(code, launch.Call(unix.SYS_PRCTL, launch.Int(unix.PR_CAPBSET_DROP), launch.Int(n), launch.Int(0), launch.Int(0), launch.Int(0)).Or(unix.EINVAL))
		}
	}
	return launch.Step{
		Name: fmt.Sprintf("limit the bounding set to %d capabilities", bits.OnesCount64(keep)), Side: launch.Child, Code: code,
		Because: "capabilities(7): what leaves it never returns; Docker's default without CAP_MKNOD",
	}
}

// lockDown gives up what is left, after the last step that needs it. The inheritable set is empty (CVE-2022-24769).
func lockDown(have uint64, root bool) launch.Step {
	keep := mask(have)
	if !root {
		keep = 0
	}
	header, data := launch.Buf(8), launch.Buf(24)
	binary.NativeEndian.PutUint32(header.Data, unix.LINUX_CAPABILITY_VERSION_3)
	for i, half := range []uint32{uint32(keep), uint32(keep >> 32)} {
		binary.NativeEndian.PutUint32(data.Data[12*i:], half)   // effective
		binary.NativeEndian.PutUint32(data.Data[12*i+4:], half) // permitted
	}
	return launch.Step{
		Name: fmt.Sprintf("keep %d capabilities, set no_new_privs", bits.OnesCount64(keep)), Side: launch.Child,
		Because: "capset(2); prctl(2) PR_SET_NO_NEW_PRIVS: no program of the image gives more than there is",
		Code: []launch.Instr{
			launch.Call(unix.SYS_CAPSET, header, data),
			launch.Call(unix.SYS_PRCTL, launch.Int(unix.PR_SET_NO_NEW_PRIVS), launch.Int(1), launch.Int(0), launch.Int(0), launch.Int(0)),
		},
	}
}

// mask is what is kept of have.
func mask(have uint64) (keep uint64) {
	for _, n := range keptCapabilities() {
		keep |= 1 << n & have
	}
	return keep
}
