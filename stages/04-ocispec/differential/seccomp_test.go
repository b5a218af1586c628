package differential

import (
	"github.com/opencontainers/runtime-spec/specs-go"
)

// seccompCases: the verdicts are what system calls answer.
func seccompCases() []testCase {
	calls := request{Calls: true}
	filter := func(name string, filter specs.LinuxSeccomp) testCase {
		return testCase{name: "seccomp " + name, ask: calls, change: on(func(s *specs.Spec) {
			s.Linux.Seccomp = &filter
			// so that the kernel's own refusals are the same for everybody
			s.Process.Capabilities.Effective = nil
		})}
	}
	errno := func(call string, number *uint, args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: []string{call}, Action: specs.ActErrno, ErrnoRet: number, Args: args}
	}
	arg := func(index uint, value, two uint64, op specs.LinuxSeccompOperator) specs.LinuxSeccompArg {
		return specs.LinuxSeccompArg{Index: index, Value: value, ValueTwo: two, Op: op}
	}
	rules := func(r ...specs.LinuxSyscall) specs.LinuxSeccomp {
		return specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: r}
	}
	denying := rules(errno("statx", new(uint(7))), errno("memfd_create", nil))
	denying.Architectures = []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}
	return []testCase{
		{name: "seccomp of the engine", engine: true, ask: calls},
		{name: "seccomp of the engine for a user", engine: true, ask: calls, change: on(func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1000} })},
		filter("that allows all", rules()),
		filter("with numbers of its own", rules(errno("statx", new(uint(7))), errno("acct", new(uint(4095))), errno("memfd_create", nil))),
		filter("with architectures", denying),
		filter("with equality", rules(errno("socket", new(uint(7)), arg(0, 40, 0, specs.OpEqualTo)))),
		filter("with inequality", rules(errno("socket", new(uint(7)), arg(0, 2, 0, specs.OpNotEqual)))),
		filter("with greater", rules(errno("personality", new(uint(7)), arg(0, 8, 0, specs.OpGreaterThan)))),
		filter("with greater or equal", rules(errno("personality", new(uint(7)), arg(0, 8, 0, specs.OpGreaterEqual)))),
		filter("with less", rules(errno("getpriority", new(uint(7)), arg(0, 1, 0, specs.OpLessThan)))),
		filter("with less or equal", rules(errno("getpriority", new(uint(7)), arg(0, 1, 0, specs.OpLessEqual)))),
		filter("with a mask", rules(errno("personality", new(uint(7)), arg(0, 0xf, 8, specs.OpMaskedEqual)))),
		filter("with 64 bits", rules(errno("dup3", new(uint(7)), arg(0, 1<<33, 0, specs.OpEqualTo)))),
		filter("with two arguments", rules(errno("socket", new(uint(7)), arg(0, 2, 0, specs.OpEqualTo), arg(1, 1, 0, specs.OpEqualTo)))),
		filter("with alternatives", rules(errno("socket", new(uint(7)), arg(0, 2, 0, specs.OpEqualTo)), errno("socket", new(uint(8)), arg(0, 40, 0, specs.OpEqualTo)))),
		filter("with an unknown name", rules(errno("nonsense_call", new(uint(7))), errno("statx", nil))),
		filter("that kills", rules(specs.LinuxSyscall{Names: []string{"statx"}, Action: specs.ActKillProcess})),
		filter("that traps", rules(specs.LinuxSyscall{Names: []string{"swapoff"}, Action: specs.ActLog})),
		filter("with a wrong action", specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_NONSENSE"}),
		filter("with a wrong argument", rules(errno("statx", nil, arg(6, 0, 0, specs.OpEqualTo)))),
		filter("with a default number", specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: new(uint(38)), Syscalls: []specs.LinuxSyscall{{Names: enough, Action: specs.ActAllow}}}),
	}
}

// enough for a Go program that looks around.
var enough = []string{
	"arch_prctl", "brk", "clone", "clone3", "close", "dup3", "epoll_create1", "epoll_ctl", "epoll_pwait", "eventfd2", "execve", "exit", "exit_group", "faccessat2", "fcntl", "fstat", "futex", "getcwd",
	"getdents64", "getpgid", "getpid", "getppid", "getpriority", "getrandom", "getrlimit", "getsid", "gettid", "getuid", "ioctl", "ioprio_get", "keyctl", "lseek", "lstat", "madvise", "mmap", "mprotect", "munmap",
	"nanosleep", "newfstatat", "openat", "personality", "pipe2", "prctl", "pread64", "prlimit64", "read", "readlink", "readlinkat", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_getaffinity", "sched_getscheduler",
	"sched_yield", "set_robust_list", "set_tid_address", "setrlimit", "sigaltstack", "stat", "statfs", "tgkill", "uname", "write", "restart_syscall", "capget", "capset", "setgroups", "setresgid", "setresuid", "setgid", "setuid", "chdir", "close_range", "fchdir", "accept4", "sendto", "recvfrom", "poll", "ppoll", "dup", "dup2", "umask", "access", "open", "fchown", "setsid", "recvmsg", "sendmsg", "fstatfs", "geteuid", "getegid", "getgid", "gettimeofday", "clock_gettime", "unlinkat", "fchmodat", "fchownat", "epoll_pwait2", "eventfd", "tkill", "waitid", "wait4", "kill", "pipe", "socket", "connect", "statx",
}
