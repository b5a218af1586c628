package layer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// ChangeKind is what happened to a path, by the letters of `docker diff`.
type ChangeKind byte

// The kinds of change.
const (
	Added   ChangeKind = 'A'
	Changed ChangeKind = 'C' // a directory: it, or something in it
	Deleted ChangeKind = 'D'
)

// Change is one path, absolute, that is not in both trees as it was.
type Change struct {
	Kind ChangeKind
	Path string
}

// Changes tells what Diff would write, in order, without reading files whose attributes tell that they changed.
func Changes(ctx context.Context, lower, upper string, fn func(Change) error) error {
	up, err := openTree(upper)
	if err != nil {
		return err
	}
	defer unix.Close(up)
	low, err := openTree(lower)
	if err != nil {
		return err
	}
	defer unix.Close(low)
	d := newDiffer(ctx, io.Discard)
	d.seen = func(h *tar.Header) error {
		c, err := changeOf(low, h)
		if err != nil {
			return err
		}
		return fn(c)
	}
	if err := d.compare(low, up, ""); err != nil {
		return fmt.Errorf("difference of %s to %s: %w", upper, lower, err)
	}
	return nil
}

func changeOf(before int, h *tar.Header) (Change, error) {
	name := strings.TrimSuffix(h.Name, "/")
	if dir, base := splitPath(name); strings.HasPrefix(base, whiteoutPrefix) {
		return Change{Deleted, "/" + path.Join(dir, strings.TrimPrefix(base, whiteoutPrefix))}, nil
	}
	// The last name may be a link, those before it not: then it is another place.
	fd, err := unix.Openat2(before, name, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	switch {
	case err == nil:
		return Change{Changed, "/" + name}, unix.Close(fd)
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP):
		return Change{Added, "/" + name}, nil
	}
	return Change{}, err
}
