package cgroup

import (
	"github.com/cilium/ebpf/asm"
)

// deviceProgram compiles the rules to a BPF program that the kernel runs at every open and mknod of a device
// (BPF_PROG_TYPE_CGROUP_DEVICE; bpf-helpers(7), linux/bpf.h: struct bpf_cgroup_dev_ctx). It returns 1 to allow.
//
//	R2 type   R3 access   R4 major   R5 minor
func deviceProgram(rules []deviceRule) asm.Instructions {
	s := newDeviceSet(rules)
	prog := asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), // access_type: access << 16 | type
		asm.Mov.Reg32(asm.R3, asm.R2),
		asm.And.Imm32(asm.R2, 0xffff),
		asm.RSh.Imm32(asm.R3, 16),
		asm.LoadMem(asm.R4, asm.R1, 4, asm.Word),
		asm.LoadMem(asm.R5, asm.R1, 8, asm.Word),
	}
	for i, d := range s.order {
		block := deviceTest(s, d, label(i+1))
		block[0] = block[0].WithSymbol(label(i))
		prog = append(prog, block...)
	}
	end := verdict(s.allow)
	end[0] = end[0].WithSymbol(label(len(s.order)))
	return append(prog, end...)
}

func label(i int) string { return "rule" + itoa(i) }

// deviceTest gives the opposite of the default if the device matches, and else jumps to next. An exception
// that allows must cover the whole request; one that denies needs to touch it only.
func deviceTest(s deviceSet, d device, next string) asm.Instructions {
	kind := int32(2) // BPF_DEVCG_DEV_CHAR
	if d.kind == 'b' {
		kind = 1 // BPF_DEVCG_DEV_BLOCK
	}
	granted := s.exceptions[d]
	test := asm.Instructions{asm.JNE.Imm32(asm.R2, kind, next), asm.Mov.Reg32(asm.R1, asm.R3)}
	if s.allow {
		test = append(test, asm.And.Imm32(asm.R1, int32(granted)), asm.JEq.Imm32(asm.R1, 0, next))
	} else {
		test = append(test, asm.And.Imm32(asm.R1, int32(accessAll&^granted)), asm.JNE.Imm32(asm.R1, 0, next))
	}
	if d.major != anyNumber {
		test = append(test, asm.JNE.Imm32(asm.R4, int32(d.major), next))
	}
	if d.minor != anyNumber {
		test = append(test, asm.JNE.Imm32(asm.R5, int32(d.minor), next))
	}
	return append(test, verdict(!s.allow)...)
}

func verdict(allow bool) asm.Instructions {
	n := int32(0)
	if allow {
		n = 1
	}
	return asm.Instructions{asm.Mov.Imm32(asm.R0, n), asm.Return()}
}
