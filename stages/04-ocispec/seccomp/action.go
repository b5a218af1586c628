package seccomp

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
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
		return 0, fmt.Errorf("action %s: the seccomp listener is not supported yet", action)
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

// flags translates the profile's flags to those of seccomp(2).
func flags(p *specs.LinuxSeccomp) (uint32, error) {
	if p.Flags == nil {
		return unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, nil // the mitigation is off unless asked for, as in runc since 1.1.2
	}
	var bits uint32
	for i, f := range p.Flags {
		switch f {
		case "SECCOMP_FILTER_FLAG_TSYNC":
			bits |= unix.SECCOMP_FILTER_FLAG_TSYNC
		case specs.LinuxSeccompFlagLog:
			bits |= unix.SECCOMP_FILTER_FLAG_LOG
		case specs.LinuxSeccompFlagSpecAllow:
			bits |= unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
		case specs.LinuxSeccompFlagWaitKillableRecv:
			return 0, fmt.Errorf("flags[%d]: %s needs a seccomp listener, which is not supported yet", i, f)
		default:
			return 0, fmt.Errorf("flags[%d]: unknown flag %q", i, f)
		}
	}
	return bits, nil
}
