package differential

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// tried are system calls that do no harm when all their arguments are -1: the kernel refuses those, so what is
// answered tells the filter's verdict from the kernel's. The last two exist nowhere.
var tried = map[string]uintptr{
	"acct": unix.SYS_ACCT, "add_key": unix.SYS_ADD_KEY, "bpf": unix.SYS_BPF, "chroot": unix.SYS_CHROOT, "clock_adjtime": unix.SYS_CLOCK_ADJTIME,
	"clock_settime": unix.SYS_CLOCK_SETTIME, "clone3": unix.SYS_CLONE3, "delete_module": unix.SYS_DELETE_MODULE, "fanotify_init": unix.SYS_FANOTIFY_INIT,
	"finit_module": unix.SYS_FINIT_MODULE, "fsmount": unix.SYS_FSMOUNT, "fsopen": unix.SYS_FSOPEN, "getcpu": unix.SYS_GETCPU, "get_mempolicy": unix.SYS_GET_MEMPOLICY,
	"init_module": unix.SYS_INIT_MODULE, "io_uring_setup": unix.SYS_IO_URING_SETUP, "kcmp": unix.SYS_KCMP, "kexec_load": unix.SYS_KEXEC_LOAD,
	"keyctl": unix.SYS_KEYCTL, "mbind": unix.SYS_MBIND, "memfd_create": unix.SYS_MEMFD_CREATE, "memfd_secret": unix.SYS_MEMFD_SECRET, "migrate_pages": unix.SYS_MIGRATE_PAGES,
	"mknodat": unix.SYS_MKNODAT, "mount": unix.SYS_MOUNT, "mount_setattr": unix.SYS_MOUNT_SETATTR, "move_mount": unix.SYS_MOVE_MOUNT, "move_pages": unix.SYS_MOVE_PAGES,
	"name_to_handle_at": unix.SYS_NAME_TO_HANDLE_AT, "nfsservctl": unix.SYS_NFSSERVCTL, "open_by_handle_at": unix.SYS_OPEN_BY_HANDLE_AT, "open_tree": unix.SYS_OPEN_TREE, "openat2": unix.SYS_OPENAT2,
	"perf_event_open": unix.SYS_PERF_EVENT_OPEN, "personality": unix.SYS_PERSONALITY, "pidfd_getfd": unix.SYS_PIDFD_GETFD, "pidfd_open": unix.SYS_PIDFD_OPEN, "pivot_root": unix.SYS_PIVOT_ROOT,
	"process_vm_readv": unix.SYS_PROCESS_VM_READV, "process_vm_writev": unix.SYS_PROCESS_VM_WRITEV, "ptrace": unix.SYS_PTRACE, "quotactl": unix.SYS_QUOTACTL,
	"reboot": unix.SYS_REBOOT, "request_key": unix.SYS_REQUEST_KEY, "sched_setattr": unix.SYS_SCHED_SETATTR, "sched_setscheduler": unix.SYS_SCHED_SETSCHEDULER, "setdomainname": unix.SYS_SETDOMAINNAME,
	"sethostname": unix.SYS_SETHOSTNAME, "setns": unix.SYS_SETNS, "settimeofday": unix.SYS_SETTIMEOFDAY, "socket": unix.SYS_SOCKET, "statx": unix.SYS_STATX, "swapoff": unix.SYS_SWAPOFF,
	"swapon": unix.SYS_SWAPON, "syslog": unix.SYS_SYSLOG, "umount2": unix.SYS_UMOUNT2, "unshare": unix.SYS_UNSHARE, "userfaultfd": unix.SYS_USERFAULTFD,
	"number 700": 700, "number 4000": 4000,
}

// asked are calls whose verdict depends on an argument.
var asked = map[string][4]uintptr{
	"socket AF_VSOCK":        {unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM, 0},
	"socket AF_ALG":          {unix.SYS_SOCKET, unix.AF_ALG, unix.SOCK_STREAM, 0},
	"socket AF_INET":         {unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0},
	"personality 0":          {unix.SYS_PERSONALITY, 0, 0, 0},
	"personality 0x0008":     {unix.SYS_PERSONALITY, 8, 0, 0},
	"personality 0x20008":    {unix.SYS_PERSONALITY, 0x20008, 0, 0},
	"prctl PR_GET_NAME to 1": {unix.SYS_PRCTL, unix.PR_GET_NAME, 1, 0},
	"getpriority 0":          {unix.SYS_GETPRIORITY, unix.PRIO_PROCESS, 0, 0},
	"getpriority group":      {unix.SYS_GETPRIORITY, unix.PRIO_PGRP, 0, 0},
	"getpriority user":       {unix.SYS_GETPRIORITY, unix.PRIO_USER, 0, 0},
	"dup3 high bits":         {unix.SYS_DUP3, 1 << 33, 200, 0}, // the kernel sees 0 and 200, none of the probe's own,
}

func (f Facts) calls() {
	const no = ^uintptr(0)
	for name, number := range tried {
		_, _, errno := unix.RawSyscall6(number, no, no, no, no, no, no)
		f["call "+name] = fmt.Sprint(errno)
	}
	for name, c := range asked {
		fd, _, errno := unix.RawSyscall(c[0], c[1], c[2], c[3])
		f["call "+name] = fmt.Sprint(errno)
		if errno == 0 && c[0] == unix.SYS_SOCKET {
			_ = unix.Close(int(fd))
		}
	}
}
