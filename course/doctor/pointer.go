package doctor

import "unsafe"

func uintptrOf(v *uint32) uintptr { return uintptr(unsafe.Pointer(v)) }
