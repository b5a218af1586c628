package plan

import (
	"slices"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// shut closes whatever the runtime has open, before the first path that the image can bend is followed: its working directory, its
// program, and the interpreter that the program names. Close-on-exec would be too late: the kernel looks all of them up first, and
// /proc/self/fd/7/../../usr/bin/x leads from a directory of the host's to any file of its (CVE-2024-21626). needed are kept, at other numbers.
func (c *compiler) shut(needed ...launch.Slot) launch.Step {
	needed = slices.DeleteFunc(append(needed, c.label, c.mail), func(s launch.Slot) bool { return s == 0 })
	return launch.KeepOnly(3+c.req.PreserveFDs, "a path of the image's, even its interpreter's, could lead through one of them to the host (CVE-2024-21626)", needed...)
}
