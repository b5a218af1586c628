package cgroup

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// instruction is struct bpf_insn of linux/bpf.h. The few that a device program needs are made by the functions below.
type instruction struct {
	op       uint8
	dst, src uint8 // registers
	offset   int16 // of memory, or of a jump: instructions to pass over
	constant int32
}

func load(dst, from uint8, offset int16) instruction {
	return instruction{op: unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, dst: dst, src: from, offset: offset}
}

func move(dst, src uint8) instruction {
	return instruction{op: unix.BPF_ALU | unix.BPF_MOV | unix.BPF_X, dst: dst, src: src}
}

func compute(op, dst uint8, constant int32) instruction {
	return instruction{op: unix.BPF_ALU | op | unix.BPF_K, dst: dst, constant: constant}
}

// jump passes over the rest of its block if the comparison holds; deviceTest fills in how far that is.
func jump(op, dst uint8, constant int32) instruction {
	return instruction{op: unix.BPF_JMP32 | op | unix.BPF_K, dst: dst, constant: constant}
}

// encode is the program as the kernel takes it. The order of the registers in their byte follows the machine's.
func encode(prog []instruction) []byte {
	var code []byte
	for _, i := range prog {
		registers := i.src<<4 | i.dst
		if byteOrderBig() {
			registers = i.dst<<4 | i.src
		}
		code = append(code, i.op, registers)
		code = binary.NativeEndian.AppendUint16(code, uint16(i.offset))
		code = binary.NativeEndian.AppendUint32(code, uint32(i.constant))
	}
	return code
}

func byteOrderBig() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) != 1 }

// deviceProgram compiles the rules to a BPF program that the kernel runs at every open and mknod of a device
// (BPF_PROG_TYPE_CGROUP_DEVICE; bpf-helpers(7), linux/bpf.h: struct bpf_cgroup_dev_ctx). It returns 1 to allow.
//
//	register 2 type   3 access   4 major   5 minor
func deviceProgram(rules []deviceRule) []instruction {
	s := newDeviceSet(rules)
	prog := []instruction{
		load(2, 1, 0), // access_type: access << 16 | type
		move(3, 2),
		compute(unix.BPF_AND, 2, 0xffff),
		compute(unix.BPF_RSH, 3, 16),
		load(4, 1, 4),
		load(5, 1, 8),
	}
	for _, d := range s.order {
		prog = append(prog, deviceTest(s, d)...)
	}
	return append(prog, verdict(s.allow)...)
}

// deviceTest gives the opposite of the default if the device matches, and else goes on behind itself. An exception
// that allows must cover the whole request; one that denies needs to touch it only.
func deviceTest(s deviceSet, d device) []instruction {
	kind := int32(2) // BPF_DEVCG_DEV_CHAR
	if d.kind == 'b' {
		kind = 1 // BPF_DEVCG_DEV_BLOCK
	}
	granted := s.exceptions[d]
	test := []instruction{jump(unix.BPF_JNE, 2, kind), move(1, 3)}
	if s.allow {
		test = append(test, compute(unix.BPF_AND, 1, int32(granted)), jump(unix.BPF_JEQ, 1, 0))
	} else {
		test = append(test, compute(unix.BPF_AND, 1, int32(accessAll&^granted)), jump(unix.BPF_JNE, 1, 0))
	}
	if d.major != anyNumber {
		test = append(test, jump(unix.BPF_JNE, 4, int32(d.major)))
	}
	if d.minor != anyNumber {
		test = append(test, jump(unix.BPF_JNE, 5, int32(d.minor)))
	}
	test = append(test, verdict(!s.allow)...)
	for i := range test {
		if test[i].op&7 == unix.BPF_JMP32 {
			test[i].offset = int16(len(test) - i - 1)
		}
	}
	return test
}

func verdict(allow bool) []instruction {
	n := int32(0)
	if allow {
		n = 1
	}
	return []instruction{compute(unix.BPF_MOV, 0, n), {op: unix.BPF_JMP | unix.BPF_EXIT}}
}
