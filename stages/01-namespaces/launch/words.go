package launch

import "encoding/binary"

// nativePut stores a word as the kernel reads it.
func nativePut(b []byte, w uint64) { binary.NativeEndian.PutUint64(b, w) }
