package isolate

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// propagation is what was asked for instead of private; asked is false for the usual.
func propagation(kind string) (steps []launch.Step, asked bool) {
	var flag uintptr
	switch kind {
	case "", "private":
		return nil, false
	case "unchanged":
		return nil, true
	case "slave":
		flag = unix.MS_SLAVE
	case "shared":
		flag = unix.MS_SHARED
	}
	return []launch.Step{{
		Name: "make / " + kind + ", recursively", Side: launch.Child,
		Because: "mount_namespaces(7), \"Shared subtrees\": asked for by --propagation",
		Code: []launch.Instr{
			launch.Call(unix.SYS_MOUNT, launch.Str("none"), launch.Str("/"), launch.Int(0), launch.Int(unix.MS_REC|flag), launch.Int(0)),
		},
	}}, true
}

// chroot is chroot(2): a view, not a wall (stage 3 has the wall).
func chroot(dir string) launch.Step {
	return launch.Step{
		Name: "make " + dir + " the root", Side: launch.Child,
		Because: "chroot(2); the working directory must follow, or it stays outside",
		Code: []launch.Instr{
			launch.Call(unix.SYS_CHROOT, launch.Str(dir)),
			launch.Call(unix.SYS_CHDIR, launch.Str("/")),
		},
	}
}

// setGroups writes /proc/PID/setgroups, before any gid_map.
func setGroups(word string) []launch.Step {
	if word == "" {
		return nil
	}
	return []launch.Step{{
		Name: word + " setgroups", Because: "user_namespaces(7): it can only be set before gid_map",
		Do: func(run *launch.Run) error {
			return os.WriteFile(fmt.Sprintf("/proc/%d/setgroups", run.PID()), []byte(word), 0)
		},
	}}
}
