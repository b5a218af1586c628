package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// Diff writes what changed from the tree lower to the tree upper, as the tar of a layer with whiteouts. Both are whole trees, for
// example two mounted snapshots. Applied to a copy of lower, it gives upper.
func Diff(ctx context.Context, lower, upper string, w io.Writer) error {
	low, err := openTree(lower)
	if err != nil {
		return err
	}
	defer unix.Close(low)
	up, err := openTree(upper)
	if err != nil {
		return err
	}
	defer unix.Close(up)
	d := newDiffer(ctx, w)
	if err := d.compare(low, up, ""); err != nil {
		return fmt.Errorf("difference of %s to %s: %w", upper, lower, err)
	}
	return d.tar.Close()
}

// DiffUpper writes the upper directory of an overlay as the tar of a layer: it holds nothing but the changes, so there is nothing
// to compare.
func DiffUpper(ctx context.Context, upper string, w io.Writer) error {
	fd, err := openTree(upper)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	d := newDiffer(ctx, w)
	d.overlay = true
	if err := d.compare(-1, fd, ""); err != nil {
		return fmt.Errorf("difference in %s: %w", upper, err)
	}
	return d.tar.Close()
}

// differ is one Diff.
type differ struct {
	ctx     context.Context // of this call
	tar     *tar.Writer
	overlay bool             // the tree is an overlay's upper directory
	parents []*tar.Header    // directories above the present one that were not written yet
	links   map[inode]string // files with several names that were written
	buffer  []byte
	seen    func(*tar.Header) error // takes the headers instead, and no contents are read; nil for a real layer
}

type inode struct{ dev, ino uint64 }

func newDiffer(ctx context.Context, w io.Writer) *differ {
	return &differ{ctx: ctx, tar: tar.NewWriter(w), links: map[inode]string{}, buffer: make([]byte, chunkSize)}
}

// compare writes the changes from the directory low (-1: there is none) to the directory up, whose path is p: a whiteout for a name that is
// gone, and for each that is there an entry, held against what low has under this name (-1: nothing). The names come in order, so
// that the same change gives the same bytes.
func (d *differ) compare(low, up int, p string) error {
	now, err := readNames(up)
	if err != nil {
		return err
	}
	var before []string
	if low >= 0 {
		if before, err = readNames(low); err != nil {
			return err
		}
	}
	was, is := set(before), set(now)
	//ex:begin rootfs.diff
	for _, name := range slices.Sorted(maps.Keys(union(was, is))) {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		full := path.Join(p, name)
		if !is[name] {
			err = d.whiteout(full)
		} else {
			from := -1
			if was[name] {
				from = low
			}
			err = d.entry(from, up, name, full)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", shown(full), err)
		}
	}
	return nil
	//ex:stub
	// _, _ = was, is
	// return todo.Exercise("rootfs.diff")
	//ex:end rootfs.diff
}

func set(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

func union(a, b map[string]bool) map[string]bool {
	u := maps.Clone(a)
	maps.Copy(u, b)
	return u
}

// entry writes name of the directory up unless that of low is the same.
func (d *differ) entry(low, up int, name, p string) error {
	now, err := lookAt(up, name)
	if err != nil {
		return err
	}
	if d.overlay && isWhiteout(&now.st) {
		return d.whiteout(p)
	}
	same, lowIsDir := false, false
	if low >= 0 {
		was, err := lookAt(low, name)
		if err != nil {
			return err
		}
		lowIsDir = was.kind() == unix.S_IFDIR
		if same, err = sameEntry(low, up, was, now); err != nil {
			return err
		}
	}
	switch now.kind() {
	case unix.S_IFDIR:
		if !lowIsDir {
			low = -1
		}
		return d.directory(low, up, now, p, same)
	case unix.S_IFSOCK:
		return nil // lives as long as its server; no tar can hold one
	}
	if same {
		return nil
	}
	return d.write(up, now, p)
}

func (d *differ) directory(low, up int, now look, p string, same bool) error {
	sub, err := openDir(up, now.name)
	if err != nil {
		return err
	}
	defer unix.Close(sub)
	lowSub := -1
	if low >= 0 {
		if lowSub, err = openDir(low, now.name); err != nil {
			return err
		}
		defer unix.Close(lowSub)
	}
	// An unchanged directory is written only when something in it is.
	d.parents = append(d.parents, now.header(p+"/"))
	if !same {
		if err := d.flushParents(); err != nil {
			return err
		}
	}
	if err := d.marks(now, p); err != nil {
		return err
	}
	if err := d.compare(lowSub, sub, p); err != nil {
		return err
	}
	if len(d.parents) > 0 {
		d.parents = d.parents[:len(d.parents)-1]
	}
	return nil
}

// marks writes what overlayfs has noted at a directory.
func (d *differ) marks(now look, p string) error {
	if !d.overlay {
		return nil
	}
	if now.opaque {
		return d.empty(path.Join(p, whiteoutOpaque))
	}
	if now.redirect {
		return fmt.Errorf("a directory that overlayfs renamed in place can only be told by comparing trees: %w", ErrEntry)
	}
	return nil
}

func (d *differ) flushParents() error {
	for _, h := range d.parents {
		if err := d.header(h); err != nil {
			return err
		}
	}
	d.parents = nil
	return nil
}

func (d *differ) header(h *tar.Header) error {
	if d.seen != nil {
		return d.seen(h)
	}
	return d.tar.WriteHeader(h)
}

func (d *differ) whiteout(p string) error {
	dir, base := splitPath(p)
	return d.empty(path.Join(dir, whiteoutPrefix+base))
}

func (d *differ) empty(p string) error {
	if err := d.flushParents(); err != nil {
		return err
	}
	return d.header(&tar.Header{Typeflag: tar.TypeReg, Name: p, Format: tar.FormatPAX})
}

// write writes a whole entry.
func (d *differ) write(up int, now look, p string) error {
	if err := d.flushParents(); err != nil {
		return err
	}
	h := now.header(p)
	if now.st.Nlink > 1 {
		key := inode{uint64(now.st.Dev), now.st.Ino}
		if first, ok := d.links[key]; ok {
			h.Typeflag, h.Linkname, h.Size, h.PAXRecords = tar.TypeLink, first, 0, nil
			return d.header(h)
		}
		d.links[key] = p
	}
	if h.Typeflag != tar.TypeReg || d.seen != nil {
		return d.header(h)
	}
	f, err := openSame(up, now)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := d.header(h); err != nil {
		return err
	}
	n, err := io.CopyBuffer(d.tar, io.LimitReader(f, h.Size), d.buffer)
	if err == nil && n < h.Size {
		err = fmt.Errorf("became shorter while it was read: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// openSame opens the file that was looked at, and no other that took its place.
func openSame(dir int, l look) (*os.File, error) {
	fd, err := unix.Openat(dir, l.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), l.name)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Ino != l.st.Ino || st.Dev != l.st.Dev {
		return nil, errors.Join(fmt.Errorf("was replaced while it was read: %w", ErrEntry), err, f.Close())
	}
	return f, nil
}

// sameEntry tells whether nothing changed. A file is the same when all attributes and the time are, because whoever writes a file
// changes its time. Where times are whole seconds (they come from an old tar) the contents are compared too.
func sameEntry(low, up int, a, b look) (bool, error) {
	if !a.equal(b) {
		return false, nil
	}
	if a.kind() != unix.S_IFREG || a.st.Mtim.Nsec != 0 || a.st.Dev == b.st.Dev && a.st.Ino == b.st.Ino {
		return true, nil
	}
	return sameContent(low, up, a, b)
}

func sameContent(low, up int, a, b look) (bool, error) {
	f, err := openSame(low, a)
	if err != nil {
		return false, err
	}
	defer f.Close()
	g, err := openSame(up, b)
	if err != nil {
		return false, err
	}
	defer g.Close()
	p, q := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errF := io.ReadFull(f, p)
		m, errG := io.ReadFull(g, q)
		if !bytes.Equal(p[:n], q[:m]) {
			return false, nil
		}
		if errF != nil || errG != nil {
			return errors.Is(errF, io.EOF) == errors.Is(errG, io.EOF), nil
		}
	}
}
