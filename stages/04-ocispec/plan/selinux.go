package plan

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// labelled tells whether the program shall run under an AppArmor profile or a SELinux label.
func (c *compiler) labelled() bool { return c.proc.ApparmorProfile != "" || c.proc.SelinuxLabel != "" }

// labelKeys gives the session keyring the container's SELinux label: it is made once, and nobody labels it later.
func (c *compiler) labelKeys() []launch.Step {
	label := c.proc.SelinuxLabel
	if label == "" || c.req.NoNewKeyring {
		return nil
	}
	fd := c.temporary()
	return []launch.Step{child("label new keys "+label, "/proc/self/attr/keycreate, proc_pid_attr(5); through the host's procfs (CVE-2019-19921)",
		openProc("/proc/self/attr/keycreate", unix.O_WRONLY, fd),
		launch.Call(unix.SYS_WRITE, fd, launch.Str(label), launch.Int(len(label))),
		launch.Call(unix.SYS_CLOSE, fd))}
}

// enterLabel writes the SELinux label that the next execve takes.
func (c *compiler) enterLabel(fd launch.Arg) launch.Step {
	label := c.proc.SelinuxLabel
	return child("enter SELinux label "+label+" at execve", "selinux(8); config.json process.selinuxLabel; /proc/self/attr/exec",
		launch.Call(unix.SYS_WRITE, fd, launch.Str(label), launch.Int(len(label))))
}

// context adds linux.mountLabel to a mount's options. The kernel's own file systems have labels of theirs.
func (c *compiler) context(m specs.Mount, data string) string {
	label := c.spec.Linux.MountLabel
	switch m.Type {
	case "proc", "sysfs", "mqueue", "cgroup", "cgroup2":
		return data
	}
	if label == "" || strings.Contains(data, "context=") {
		return data
	}
	return strings.TrimPrefix(data+`,context="`+label+`"`, ",")
}
