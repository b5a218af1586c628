package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// agent is a seccomp agent for scripts: it listens on a socket, says on standard output whose listener it has got, and answers mkdir
// with an error of its own. It ends when it is killed.
func agent() {
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(path string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return err
	}
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return err
		}
		data, control := make([]byte, 8192), make([]byte, unix.CmsgSpace(4))
		n, m, _, _, err := conn.ReadMsgUnix(data, control)
		if err != nil {
			return err
		}
		var st specs.ContainerProcessState
		if err := json.Unmarshal(data[:n], &st); err != nil {
			return err
		}
		messages, err := unix.ParseSocketControlMessage(control[:m])
		if err != nil || len(messages) != 1 {
			return fmt.Errorf("%d messages: %w", len(messages), err)
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil {
			return err
		}
		_ = conn.Close()
		fmt.Println(st.State.ID, st.State.Status, st.Metadata, st.Fds)
		go answer(fds[0]) // ends with the last process that has the filter
	}
}

// answer serves a listener (seccomp_unotify(2)).
func answer(fd int) {
	defer unix.Close(fd)
	const recv, send = 0xc0502100, 0xc0182101
	for {
		var in [80]byte // struct seccomp_notif
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), recv, uintptr(unsafe.Pointer(&in[0]))); errno != 0 {
			return
		}
		var out struct { // struct seccomp_notif_resp
			id    uint64
			val   int64
			errno int32
			flags uint32
		}
		out.id, out.errno = *(*uint64)(unsafe.Pointer(&in[0])), -int32(unix.ENOMEDIUM)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), send, uintptr(unsafe.Pointer(&out))); errno != 0 {
			return
		}
	}
}
