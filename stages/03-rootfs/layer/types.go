// Package layer turns the tar stream of an image layer into files and back.
//
// A layer comes from strangers, so every path in it is hostile: nothing is ever opened by a path from the
// root of the host. Apply holds a descriptor of the target directory and walks from there.
package layer

import "errors"

// The kinds of error, for errors.Is. They come wrapped with the name of the entry.
var (
	ErrEscape = errors.New("leads outside of the root")     // CVE-2014-6407, CVE-2021-32760, CVE-2025-47290
	ErrLimit  = errors.New("exceeds the limit")             // CVE-2024-3727, CVE-2025-58183
	ErrEntry  = errors.New("entry that no layer may hold")  // a whiteout of "..", an unknown type
	ErrFormat = errors.New("neither tar nor gzip nor zstd") // xz and bzip2 are no layer types
)

// Whiteouts tells what a whiteout entry (".wh.NAME", image-spec layer.md#whiteouts) becomes.
type Whiteouts uint8

const (
	// Remove deletes NAME: the directory holds the lower layers' files too.
	Remove Whiteouts = iota
	// Overlay makes what overlayfs reads as "not here": a character device 0:0, or the attribute
	// trusted.overlay.opaque=y on a directory (kernel: Documentation/filesystems/overlayfs.rst).
	Overlay
)

// Limits bound what one layer may cost. A zero means the default.
type Limits struct {
	Bytes   int64 // of all files together; default: no limit but the disk
	Holes   int64 // of all files that have holes: they take no room, but time; default 64 GiB
	Padding int64 // behind the end of the archive, where nobody looks; default 1 GiB. Apply leaves it to its caller
	Entries int64 // default 10 million
	NameLen int   // bytes of a path or link target; default 4096, PATH_MAX
	Xattr   int   // bytes of all extended attributes of an entry; default 64 KiB, XATTR_SIZE_MAX
}

// Options say how to apply a layer.
type Options struct {
	Whiteouts Whiteouts
	Limits    Limits
	// Lowers are the directories of the layers below, nearest first, when Whiteouts is Overlay. A directory that
	// the layer needs but does not hold gets the attributes it has there.
	Lowers []string
}

// Result tells what was applied.
type Result struct {
	Size    int64 // bytes of all files
	Entries int64
	// Implicit are the directories that the layer needed but did not hold, in the order they were made; often "." is the last. When
	// Lowers was not known at the time, Inherit gives them their attributes later.
	Implicit []string
	// OpaqueRoot: the layer hides everything below it; see Inherit.
	OpaqueRoot bool
}
