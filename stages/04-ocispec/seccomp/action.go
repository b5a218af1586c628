package seccomp

import (
	"errors"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// eperm is what ERRNO and TRACE return when the profile does not say (runtime-spec, linux.seccomp.defaultErrnoRet).
const eperm = uint(unix.EPERM)

// retEnosys is what a call gets that is newer than the profile: "this kernel has no such call", so that a C library falls
// back to an older one instead of giving up on EPERM.
const retEnosys = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)

// ret translates an action to the value that the filter returns (seccomp(2)).
func ret(action specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	code := eperm
	if errno != nil {
		code = *errno
	}
	if code > unix.SECCOMP_RET_DATA {
		return 0, fmt.Errorf("errnoRet %d is above %d", code, unix.SECCOMP_RET_DATA)
	}
	switch action {
	case specs.ActKill, specs.ActKillThread:
		return unix.SECCOMP_RET_KILL_THREAD, noErrno(action, errno)
	case specs.ActKillProcess:
		return unix.SECCOMP_RET_KILL_PROCESS, noErrno(action, errno)
	case specs.ActTrap:
		return unix.SECCOMP_RET_TRAP, noErrno(action, errno)
	case specs.ActErrno:
		return unix.SECCOMP_RET_ERRNO | uint32(code), nil
	case specs.ActTrace:
		return unix.SECCOMP_RET_TRACE | uint32(code), nil
	case specs.ActAllow:
		return unix.SECCOMP_RET_ALLOW, noErrno(action, errno)
	case specs.ActLog:
		return unix.SECCOMP_RET_LOG, noErrno(action, errno)
	case specs.ActNotify:
		return unix.SECCOMP_RET_USER_NOTIF, noErrno(action, errno)
	}
	return 0, fmt.Errorf("unknown action %q", action)
}

func noErrno(action specs.LinuxSeccompAction, errno *uint) error {
	if errno != nil && *errno != 0 && *errno != eperm {
		return fmt.Errorf("errnoRet %d cannot be combined with %s", *errno, action)
	}
	return nil
}

// permissive tells whether a default action lets a call happen; such a profile is a list of what is forbidden, and a call
// that it does not know stays allowed.
func permissive(action specs.LinuxSeccompAction) bool {
	return action == specs.ActAllow || action == specs.ActLog || action == specs.ActTrace
}

// Notifies tells whether some call, or one of those that are named, is decided by an agent that listens (seccomp_unotify(2)).
func Notifies(p *specs.LinuxSeccomp, names ...string) bool {
	return slices.ContainsFunc(p.Syscalls, func(s specs.LinuxSyscall) bool {
		named := func(name string) bool { return slices.Contains(s.Names, name) }
		return s.Action == specs.ActNotify && (len(names) == 0 || slices.ContainsFunc(names, named))
	})
}

// notifiable refuses what would leave a process waiting for an agent that has not got the listener yet: the runtime's own
// handing over of it needs write, and whatever a default could stand for.
func notifiable(p *specs.LinuxSeccomp) error {
	if p.DefaultAction == specs.ActNotify {
		return errors.New("SCMP_ACT_NOTIFY cannot be used as default action")
	}
	for i, s := range p.Syscalls {
		if s.Action == specs.ActNotify && slices.Contains(s.Names, "write") {
			return fmt.Errorf("syscalls[%d]: SCMP_ACT_NOTIFY cannot be used for the write syscall", i)
		}
	}
	if Notifies(p) && p.ListenerPath == "" {
		return errors.New("listenerPath: it is missing, and SCMP_ACT_NOTIFY needs an agent that listens there")
	}
	return nil
}

// FlagNames lists the flags that a profile may name.
func FlagNames() []string {
	return []string{flagTsync, string(specs.LinuxSeccompFlagSpecAllow), string(specs.LinuxSeccompFlagLog), string(specs.LinuxSeccompFlagWaitKillableRecv)}
}

// flagTsync spreads a filter to all threads of a process. The one that loads ours has a single thread, so it means nothing;
// profiles name it nevertheless, although runtime-spec does not.
const flagTsync = "SECCOMP_FILTER_FLAG_TSYNC"

// flags translates the profile's flags to those of seccomp(2).
func flags(p *specs.LinuxSeccomp) (uint32, error) {
	var bits uint32
	if Notifies(p) {
		bits = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	}
	if p.Flags == nil {
		return bits | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, nil // the mitigation is off unless asked for, as in runc since 1.1.2
	}
	for i, f := range p.Flags {
		switch f {
		case flagTsync:
		case specs.LinuxSeccompFlagLog:
			bits |= unix.SECCOMP_FILTER_FLAG_LOG
		case specs.LinuxSeccompFlagSpecAllow:
			bits |= unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
		case specs.LinuxSeccompFlagWaitKillableRecv:
			bits |= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
		default:
			return 0, fmt.Errorf("flags[%d]: unknown flag %q", i, f)
		}
	}
	return bits, nil
}
