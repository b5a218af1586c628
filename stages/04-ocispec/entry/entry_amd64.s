#include "textflag.h"

// The stack is as execve(2) leaves it: argc, argv[0] to argv[argc-1], 0, the environment, 0.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0
	MOVQ	0(SP), R12		// argc
	LEAQ	8(SP), R13		// argv
	LEAQ	16(SP)(R12*8), R14	// environment
	MOVQ	$107, AX		// geteuid
	SYSCALL
	TESTL	AX, AX
	JNE	begin
	MOVQ	R13, BX

next:	// is one of the arguments a verb that starts something in a container?
	MOVQ	(BX), SI
	TESTQ	SI, SI
	JEQ	begin
	ADDQ	$8, BX
	MOVL	(SI), AX		// behind the last argument's last byte lies the environment
	CMPL	AX, $0x006e7572		// "run\0"
	JEQ	found
	CMPL	AX, $0x63657865		// "exec"
	JNE	create
	CMPB	4(SI), $0
	JEQ	found
create:
	CMPL	AX, $0x61657263		// "crea"
	JNE	restore
	CMPW	4(SI), $0x6574		// "te"
	JNE	next
	CMPB	6(SI), $0
	JEQ	found
restore:
	CMPL	AX, $0x74736572		// "rest"
	JNE	next
	CMPL	4(SI), $0x0065726f	// "ore\0"
	JNE	next

found:
	MOVQ	$269, AX		// faccessat(AT_FDCWD, "/proc/self/exe", W_OK)
	MOVQ	$-100, DI
	LEAQ	exe<>(SB), SI
	MOVQ	$2, DX
	SYSCALL
	CMPL	AX, $-30
	JEQ	readonly
	TESTL	AX, AX
	JNE	begin			// an error that is package readonly's to tell
	MOVQ	$428, AX		// open_tree(AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
	MOVQ	$-100, DI
	LEAQ	exe<>(SB), SI
	MOVQ	$0x80001, DX
	SYSCALL
	TESTL	AX, AX
	JLT	begin
	MOVL	AX, BX
	MOVQ	$442, AX		// mount_setattr(fd, "", AT_EMPTY_PATH, {attr_set: MOUNT_ATTR_RDONLY}, 32)
	MOVL	BX, DI
	LEAQ	exe<>+14(SB), SI
	MOVQ	$0x1000, DX
	LEAQ	attr<>(SB), R10
	MOVQ	$32, R8
	SYSCALL
	TESTL	AX, AX
	JNE	begin
	MOVQ	$322, AX		// execveat(fd, "", argv, environment, AT_EMPTY_PATH)
	MOVL	BX, DI
	LEAQ	exe<>+14(SB), SI
	MOVQ	R13, DX
	MOVQ	R14, R10
	MOVQ	$0x1000, R8
	SYSCALL

	JMP	begin

readonly: // EROFS: it is already, and older kernels have named us after the descriptor that we were executed by
	MOVQ	$1, ·given+16(SB)	// given.readonly
	MOVQ	$157, AX		// prctl(PR_SET_NAME, "slipway-runtime")
	MOVQ	$15, DI
	LEAQ	name<>(SB), SI
	SYSCALL

begin:	// what Go is to find differently than we were given it
	MOVQ	$1, ·given+0(SB)	// given.ran
	MOVQ	$157, AX		// given.slack = prctl(PR_GET_TIMERSLACK)
	MOVQ	$30, DI
	SYSCALL
	MOVQ	AX, ·given+8(SB)
	MOVQ	$157, AX		// prctl(PR_SET_TIMERSLACK, 4 ms)
	MOVQ	$29, DI
	MOVQ	$4000000, SI
	SYSCALL
	MOVQ	SP, SI			// argc, the arguments and the 0 move down one place, and
	LEAQ	-8(SP), DI
	LEAQ	2(R12), CX
	CLD
	REP
	MOVSQ
	LEAQ	procs<>(SB), AX		// where the 0 was, the environment begins with one string more
	MOVQ	AX, (DI)
	SUBQ	$8, SP
	JMP	_rt0_amd64_linux(SB)

DATA	exe<>+0(SB)/8, $"/proc/se"
DATA	exe<>+8(SB)/8, $"lf/exe\x00\x00"
GLOBL	exe<>(SB), RODATA|NOPTR, $16
DATA	attr<>+0(SB)/8, $1
DATA	attr<>+8(SB)/8, $0
DATA	attr<>+16(SB)/8, $0
DATA	attr<>+24(SB)/8, $0
GLOBL	attr<>(SB), RODATA|NOPTR, $32
DATA	name<>+0(SB)/8, $"slipway-"
DATA	name<>+8(SB)/8, $"runtime\x00"
GLOBL	name<>(SB), RODATA|NOPTR, $16
DATA	procs<>+0(SB)/8, $"GOMAXPRO"
DATA	procs<>+8(SB)/8, $"CS=1\x00\x00\x00\x00"
GLOBL	procs<>(SB), RODATA|NOPTR, $16

// func grow()
TEXT ·grow(SB), 0, $32768-0
	RET
