package entry

// entry is where the kernel starts the program. Where one of the arguments is a verb that starts something in a container, it
// does what package readonly does, in some forty instructions, before Go has mapped its first page; whatever fails there, that
// package finds again, and tells. Then it prepares what this package's documentation says, and goes on to Go's own entry point.
//
// There is no Go yet: no stack to grow, no g, no thread-local storage. Only system calls.
//
//lint:ignore U1000 the linker is told its name (-E)
func entry()

// grow makes the calling goroutine's stack large enough, once, for a function with a frame of 32 KiB: otherwise it doubles six times,
// and each time is copied frame by frame, by tables that lie all over the program.
func grow()
