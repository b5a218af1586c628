package runtime_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// The tests' own criu: this test program, called as "swrk 3". It answers as criu does, writes what it was asked into the images
// directory, and instead of a checkpoint it kills, instead of a restore it starts a sleep below the new root.

// fields is a protobuf message, taken apart: each field's values in order, numbers as text.
type fields map[int][]string

func parse(b []byte) fields {
	m := fields{}
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		b = b[n:]
		v, n := binary.Uvarint(b)
		b = b[n:]
		text := strconv.FormatUint(v, 10)
		if tag&7 == 2 {
			text, b = string(b[:v]), b[v:]
		}
		m[int(tag>>3)] = append(m[int(tag>>3)], text)
	}
	return m
}

func (m fields) number(id int) int {
	if len(m[id]) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(m[id][0])
	return n
}

// pairs reads a repeated message of a key and a value.
func (m fields) pairs(id int) map[string]string {
	p := map[string]string{}
	for _, text := range m[id] {
		in := parse([]byte(text))
		p[in[1][0]] = in[2][0]
	}
	return p
}

func fakeCRIU() error {
	for {
		buf := make([]byte, 64<<10)
		n, err := unix.Read(3, buf)
		if err != nil || n == 0 {
			return err
		}
		request := parse(buf[:n])
		answer := []byte{0x08, byte(request.number(1)), 0x10, 1}
		switch request.number(1) {
		case 10: // VERSION
			answer = append(answer, "\x52\x06\x08\x03\x10\x11\x20\x01"...)
		case 9: // FEATURE_CHECK
			answer = append(answer, "\x42\x04\x08\x01\x10\x01"...)
		case 1, 2, 4:
			pid, err := fakeWork(request.number(1), []byte(request[2][0]))
			if err != nil {
				answer = []byte{0x08, byte(request.number(1)), 0x10, 0, 0x38, 5}
				fmt.Fprintln(os.Stderr, "fake criu:", err)
			}
			answer = append(answer, inner(4, append([]byte{0x08}, binary.AppendUvarint(nil, uint64(pid))...))...)
		}
		if err := unix.Send(3, answer, 0); err != nil {
			return err
		}
	}
}

func inner(id int, b []byte) []byte {
	out := binary.AppendUvarint(nil, uint64(id)<<3|2)
	return append(binary.AppendUvarint(out, uint64(len(b))), b...)
}

// tell announces a moment and waits for leave.
func tell(script string, pid int) error {
	in := append([]byte{0x0a, byte(len(script))}, script...)
	in = binary.AppendUvarint(append(in, 0x10), uint64(pid))
	if err := unix.Send(3, append([]byte{0x08, 6, 0x10, 1}, inner(5, in)...), 0); err != nil {
		return err
	}
	buf := make([]byte, 64)
	n, err := unix.Read(3, buf)
	if err == nil && (n == 0 || parse(buf[:n]).number(3) != 1) {
		err = fmt.Errorf("no leave to go on after %s", script)
	}
	return err
}

func fakeWork(kind int, text []byte) (pid int, err error) {
	o := parse(text)
	dir := fmt.Sprintf("/proc/%d/fd/%d", os.Getppid(), o.number(1))
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("request-%d", kind)), text, 0o600); err != nil {
		return 0, err
	}
	mode, _ := os.ReadFile(filepath.Join(dir, "mode"))
	if string(mode) == "fail" {
		return 0, fmt.Errorf("told to fail")
	}
	switch kind {
	case 1:
		if err := tell("post-dump", 0); err != nil {
			return 0, err
		}
		if o.number(3) == 0 {
			return 0, unix.Kill(o.number(2), unix.SIGKILL)
		}
	case 2:
		return fakeRestore(o, string(mode))
	}
	return 0, nil
}

func fakeRestore(o fields, mode string) (int, error) {
	root := o[13][0]
	for name, source := range o.pairs(23) {
		if name == "/dev/null" {
			continue
		}
		target := filepath.Join(root, name)
		if link, err := os.Readlink(target); err == nil {
			target = filepath.Join(root, link)
		}
		_ = os.MkdirAll(target, 0o755) // in place of the file systems that criu would restore around it
		if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return 0, err
		}
		if mode == "evil" {
			_ = unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT, "")
		}
	}
	cmd := exec.Command("/bin/busybox", "sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Cloneflags: syscall.CLONE_PARENT}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid := cmd.Process.Pid
	for _, moment := range []string{"setup-namespaces", "post-setup-namespaces", "post-restore", "post-resume"} {
		if err := tell(moment, pid); err != nil {
			return 0, err
		}
	}
	return pid, nil
}
