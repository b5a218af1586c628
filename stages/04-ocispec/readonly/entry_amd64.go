package readonly

// entry is where the kernel starts the program when it is linked with -ldflags '-E PATH/readonly.entry' (cmd/link; the Makefile
// does). It does what protect does, in some forty instructions, before Go has mapped its first page. Whatever fails there,
// protect finds again, and tells. On other machines, and without the flag, protect does it all, a millisecond of CPU later.
//
// There is no Go yet: no stack to grow, no g, no thread-local storage. Only system calls.
//
//lint:ignore U1000 the linker is told its name (-E)
func entry()
