#include "textflag.h"

// handler is called by the kernel on a signal stack, with the signal's number in DI. It writes that as one byte.
TEXT handler<>(SB), NOSPLIT|NOFRAME, $0
	PUSHQ	DI
	MOVQ	$1, AX			// write(target, SP, 1)
	MOVL	·target(SB), DI
	MOVQ	SP, SI
	MOVQ	$1, DX
	SYSCALL
	POPQ	DI
	RET

// restorer is where handler returns to.
TEXT restorer<>(SB), NOSPLIT|NOFRAME, $0
	MOVQ	$15, AX			// rt_sigreturn
	SYSCALL
	INT	$3

// func addresses() (handler, restorer uintptr)
TEXT ·addresses(SB), NOSPLIT, $0-16
	LEAQ	handler<>(SB), AX
	MOVQ	AX, handler+0(FP)
	LEAQ	restorer<>(SB), AX
	MOVQ	AX, restorer+8(FP)
	RET
