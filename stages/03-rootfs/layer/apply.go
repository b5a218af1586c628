package layer

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	whiteoutPrefix = ".wh."
	whiteoutMeta   = ".wh..wh."     // of aufs; only the opaque mark has a meaning today
	whiteoutOpaque = ".wh..wh..opq" // image-spec, layer.md#opaque-whiteout
)

// Apply unpacks the tar of a layer into dir, which must exist. Everything happens beneath dir: an entry that leads out is ErrEscape,
// a symbolic link is resolved as if dir were "/". The time of a directory is set last, because each file made in it changes it.
//
// After an error dir holds some of the layer and is to be thrown away.
func Apply(ctx context.Context, dir string, archive io.Reader, o Options) (Result, error) {
	w, err := openWalker(dir)
	if err != nil {
		return Result{}, err
	}
	defer w.close()
	a := &applier{ctx: ctx, walker: w, options: o, limits: o.Limits.OrDefault(), buffer: make([]byte, chunkSize)}
	if o.Whiteouts == Remove {
		if a.seen, err = seenSet(w.root()); err != nil {
			return Result{}, fmt.Errorf("list %s: %w", dir, err)
		}
	}
	w.missing = a.missing
	if err := a.run(tar.NewReader(archive)); err != nil {
		return Result{}, err
	}
	if !a.hasRoot && o.Whiteouts == Overlay {
		if err := a.missing(".", w.root()); err != nil {
			return Result{}, err
		}
	}
	return a.result, a.setDirTimes()
}

// OrDefault fills in the defaults.
func (l Limits) OrDefault() Limits {
	return Limits{
		Bytes:   l.Bytes,
		Holes:   cmp.Or(l.Holes, 64<<30),
		Padding: cmp.Or(l.Padding, 1<<30),
		Entries: cmp.Or(l.Entries, 10_000_000),
		NameLen: cmp.Or(l.NameLen, unix.PathMax),
		Xattr:   cmp.Or(l.Xattr, 64<<10),
	}
}

// applier is one Apply.
type applier struct {
	ctx     context.Context // of this call
	walker  *walker
	options Options
	limits  Limits
	result  Result
	buffer  []byte
	times   []dirTime
	holes   int64 // bytes of files that have some
	hasRoot bool  // the layer says what the root itself is like
	// seen are the paths that this layer made, in a directory that was not empty: a whiteout hides what is below its
	// layer, never what the layer itself brings (image-spec, layer.md#whiteouts). nil when there is nothing to hide.
	seen map[string]struct{}
}

type dirTime struct {
	path string
	time time.Time
}

// seenSet gives nil when the directory is empty.
func seenSet(root int) (map[string]struct{}, error) {
	names, err := readNames(root)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	return map[string]struct{}{}, nil
}

func (a *applier) run(tr *tar.Reader) error {
	for {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read layer: %w", err)
		}
		if err := a.entry(h, tr); err != nil {
			return fmt.Errorf("layer entry %s: %w", shown(h.Name), err)
		}
	}
}

func (a *applier) entry(h *tar.Header, body io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil // a comment of git archive
	}
	if err := a.count(h); err != nil {
		return err
	}
	p, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	if p == "" {
		return a.rootEntry(h)
	}
	dir, base := splitPath(p)
	fd, err := a.walker.enter(dir)
	if err != nil {
		return err
	}
	if strings.HasPrefix(base, whiteoutPrefix) {
		return a.whiteout(fd, dir, base)
	}
	if a.seen != nil {
		a.seen[p] = struct{}{}
	}
	return a.make(h, fd, p, base, body)
}

// count holds the entry against the limits before anything is made.
func (a *applier) count(h *tar.Header) error {
	a.result.Entries++
	a.result.Size += h.Size
	if isSparse(h) {
		a.holes += h.Size
	}
	xattrs := 0
	for k, v := range h.PAXRecords {
		if strings.HasPrefix(k, paxXattr) {
			xattrs += len(k) - len(paxXattr) + len(v)
		}
	}
	switch {
	case a.result.Entries > a.limits.Entries:
		return fmt.Errorf("%d entries: %w", a.result.Entries, ErrLimit)
	case a.limits.Bytes > 0 && a.result.Size > a.limits.Bytes:
		return fmt.Errorf("%d bytes: %w", a.result.Size, ErrLimit)
	case a.holes > a.limits.Holes || a.result.Size < 0:
		return fmt.Errorf("%d bytes in files with holes: %w", a.holes, ErrLimit) // CVE-2025-58183
	case len(h.Name) > a.limits.NameLen || len(h.Linkname) > a.limits.NameLen:
		return fmt.Errorf("path of %d bytes: %w", max(len(h.Name), len(h.Linkname)), ErrLimit)
	case xattrs > a.limits.Xattr:
		return fmt.Errorf("%d bytes of extended attributes: %w", xattrs, ErrLimit)
	}
	return nil
}

// rootEntry is "./": only its attributes count.
func (a *applier) rootEntry(h *tar.Header) error {
	if h.Typeflag != tar.TypeDir {
		return fmt.Errorf("the root is a directory: %w", ErrEntry)
	}
	a.hasRoot = true
	a.times = append(a.times, dirTime{".", h.ModTime})
	return setAttributes(a.walker.root(), h)
}

// missing tells of a directory that the layer needs but does not hold.
func (a *applier) missing(p string, fd int) error {
	a.result.Implicit = append(a.result.Implicit, p)
	if a.seen != nil {
		a.seen[p] = struct{}{}
	}
	return inherit(p, fd, a.options.Lowers)
}

func (a *applier) setDirTimes() error {
	for _, t := range a.times {
		fd, err := unix.Openat2(a.walker.root(), t.path, &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
		})
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			continue // a later entry put something else in its place
		}
		if err != nil {
			return fmt.Errorf("open %s: %w", shown(t.path), err)
		}
		err = setTime(fd, ".", t.time, t.time)
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("set time of %s: %w", shown(t.path), err)
		}
	}
	return nil
}

// shown makes a hostile name fit for a message.
func shown(name string) string {
	const most = 200
	if len(name) > most {
		return fmt.Sprintf("%q… (%d bytes)", name[:most], len(name))
	}
	return fmt.Sprintf("%q", name)
}
