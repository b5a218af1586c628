// Package snapshot makes root file systems out of layers, after containerd's model.
//
// # The words
//
// A snapshot is a directory tree. There are three kinds:
//
//   - an Active one can be written. It is known by its key.
//   - a Committed one never changes again. It is known by its name.
//   - a View is like an Active one, but read-only.
//
// Each has one parent at most, which is a Committed one. A chain of them is an image: every one holds what its layer
// changes, and its name is the chain id of all layers up to it. Keys and names share one space and may be any bytes.
//
// # An image is unpacked
//
// For the first layer, an Active snapshot on nothing:
//
//	mounts, err := s.Prepare(ctx, "unpack-1", "", nil)
//	snapshot.MountAll(mounts, dir)   // or write into the directory that the mounts name
//	layer.Apply(ctx, dir, tar, …)
//	snapshot.UnmountAll(dir)
//	s.Commit(ctx, "sha256:first", "unpack-1", nil)
//
// For the second, one on top of the first, which is now the parent:
//
//	mounts, err = s.Prepare(ctx, "unpack-2", "sha256:first", nil)
//	…
//	s.Commit(ctx, "sha256:second", "unpack-2", nil)
//
// If anything goes wrong in between, Remove the active one, and it never was.
//
// # A container runs
//
// Its root is an Active snapshot on top of the last layer's, with the container's id as key:
//
//	mounts, err := s.Prepare(ctx, "web", "sha256:second", nil)
//
// What it writes stays in that snapshot. Remove it with the container, or Commit it and it is a new layer of a new image.
//
// # Two ways to do it
//
// Overlay keeps only the differences and lets overlayfs put them together: Prepare is two mkdirs. Copy copies
// the whole parent; it works on any file system. The package snapshottest holds what both must do.
//
// # For a user namespace
//
// A container whose root is user 100000 outside wants the image's files to be 100000's. With the labels LabelUIDMap and LabelGIDMap
// the mounts of a snapshot show them so; the disk stays as it is, and one layer serves all maps. Where the kernel
// cannot map a mount the owners are changed on disk instead (ShiftOwners), and changed back by Commit.
//
// As root of a user namespace Overlay works too: overlayfs then keeps its notes in attributes that a user may set.
//
// # What is on disk
//
//	DIR/lock                  flock: one process at a time
//	DIR/snapshots/ID/         ID is a small number, because overlayfs wants all paths of a chain on one page (4096 bytes)
//	    snapshot.json         kind, key, parent, labels, times; replaced by rename only
//	    fs/                   the files
//	    work/                 overlayfs's own, while it is not committed
//	DIR/snapshots/.new-*      being made; swept when the directory is opened
//	DIR/snapshots/.gone-*     being removed; swept too
//
// Active ones and views with the label LabelTransient are swept as well.
//
// A snapshot appears by rename and goes by rename, so whenever the process is killed, each is there whole or not at all.
package snapshot
