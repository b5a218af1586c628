package cgroup

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// setDevicesV2 attaches a device program where devices are governed by v2. The programs that were attached
// to the group before are replaced: with several, all would have to allow.
func (g *Group) setDevicesV2(now facts, list []specs.LinuxDeviceCgroup) error {
	if list == nil || now.version("devices") != 2 {
		return nil
	}
	rules, err := deviceRules(list)
	if err != nil {
		return fmt.Errorf("cgroup %s: %w", g.path, err)
	}
	p, _ := g.at("devices")
	dir, err := p.openFD(".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := replaceDeviceProgram(dir, deviceProgram(rules)); err != nil {
		return fmt.Errorf("device program of %s: %w", p, err)
	}
	return nil
}

func replaceDeviceProgram(dir int, prog []instruction) error {
	old, err := deviceProgramIDs(dir)
	if err != nil {
		return err
	}
	fd, err := loadProgram(prog)
	if err != nil {
		return err
	}
	defer unix.Close(fd) // the group keeps the program
	var oldFDs []int
	for _, id := range old {
		attr := &bpfAttr{}
		attr.u32(0, id)
		oldFD, err := attr.call(unix.BPF_PROG_GET_FD_BY_ID)
		if err != nil {
			return fmt.Errorf("open program %d: %w", id, err)
		}
		defer unix.Close(oldFD)
		oldFDs = append(oldFDs, oldFD)
	}
	if len(oldFDs) == 1 {
		return attachProgram(dir, fd, unix.BPF_F_ALLOW_MULTI|unix.BPF_F_REPLACE, oldFDs[0])
	}
	if err := attachProgram(dir, fd, unix.BPF_F_ALLOW_MULTI, 0); err != nil {
		return err
	}
	for _, oldFD := range oldFDs {
		if err := detachProgram(dir, oldFD); err != nil {
			return err
		}
	}
	return nil
}

// bpfAttr is bpf(2)'s argument, larger than any kernel's union bpf_attr: kernels 6.17 to 7.1 write a field
// past the end of the smaller structure that programs usually pass for BPF_PROG_QUERY (runc 1.5.2's notes).
type bpfAttr [256]byte

func (a *bpfAttr) u32(offset int, v uint32) { binary.NativeEndian.PutUint32(a[offset:], v) }

func (a *bpfAttr) ptr(offset int, p unsafe.Pointer) {
	binary.NativeEndian.PutUint64(a[offset:], uint64(uintptr(p)))
}

// call passes only as much as the oldest kernel we care for knows: a longer size is accepted when the rest
// is zero, and the buffer behind it is ours in any case.
func (a *bpfAttr) call(cmd int) (int, error) {
	n, err := retry(func() (int, error) {
		n, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(unsafe.Pointer(a)), 128)
		if errno != 0 {
			return -1, errno
		}
		return int(n), nil
	})
	runtime.KeepAlive(a)
	return n, err
}

// loadProgram loads a cgroup device program (BPF_PROG_LOAD); on a refusal the verifier's words are in the error.
func loadProgram(prog []instruction) (int, error) {
	insns, license := pinned(encode(prog)), pinned([]byte("Apache-2.0\x00"))
	defer insns.Unpin()
	defer license.Unpin()
	attr := &bpfAttr{}
	attr.u32(0, unix.BPF_PROG_TYPE_CGROUP_DEVICE)
	attr.u32(4, uint32(len(prog)))
	attr.ptr(8, insns.at)
	attr.ptr(16, license.at)
	fd, err := attr.call(unix.BPF_PROG_LOAD)
	if err == nil {
		return fd, nil
	}
	words := pinned(make([]byte, 64<<10))
	defer words.Unpin()
	attr.u32(24, 1) // log_level
	attr.u32(28, uint32(len(words.bytes)))
	attr.ptr(32, words.at)
	if fd, again := attr.call(unix.BPF_PROG_LOAD); again == nil {
		return fd, nil
	}
	log, _, _ := bytes.Cut(words.bytes, []byte{0})
	return -1, fmt.Errorf("load %d instructions: %w: %s", len(prog), err, bytes.TrimSpace(log))
}

// pin is memory whose address may stand in a bpfAttr.
type pin struct {
	runtime.Pinner
	bytes []byte
	at    unsafe.Pointer
}

func pinned(b []byte) *pin {
	p := &pin{bytes: b, at: unsafe.Pointer(unsafe.SliceData(b))}
	p.Pin(unsafe.SliceData(b))
	return p
}

// deviceProgramIDs asks which device programs are attached to the group itself (BPF_PROG_QUERY).
func deviceProgramIDs(dir int) ([]uint32, error) {
	ids := make([]uint32, 64) // the kernel's own maximum (BPF_CGROUP_MAX_PROGS)
	var p runtime.Pinner
	p.Pin(unsafe.SliceData(ids))
	defer p.Unpin()
	attr := &bpfAttr{}
	attr.u32(0, uint32(dir))
	attr.u32(4, unix.BPF_CGROUP_DEVICE)
	attr.ptr(16, unsafe.Pointer(unsafe.SliceData(ids)))
	attr.u32(24, uint32(len(ids)))
	if _, err := attr.call(unix.BPF_PROG_QUERY); err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	return ids[:min(int(binary.NativeEndian.Uint32(attr[24:])), len(ids))], nil
}

func attachProgram(dir, prog int, flags uint32, replace int) error {
	attr := &bpfAttr{}
	attr.u32(0, uint32(dir))
	attr.u32(4, uint32(prog))
	attr.u32(8, unix.BPF_CGROUP_DEVICE)
	attr.u32(12, flags)
	attr.u32(16, uint32(replace))
	if _, err := attr.call(unix.BPF_PROG_ATTACH); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	return nil
}

func detachProgram(dir, prog int) error {
	attr := &bpfAttr{}
	attr.u32(0, uint32(dir))
	attr.u32(4, uint32(prog))
	attr.u32(8, unix.BPF_CGROUP_DEVICE)
	if _, err := attr.call(unix.BPF_PROG_DETACH); err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	return nil
}
