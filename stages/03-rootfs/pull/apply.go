package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
)

// target is where a layer goes and how.
type target struct {
	dir     string
	options layer.Options
}

var errNeedsMount = errors.New("these mounts show no directory to write into")

// targetOf reads off the mounts of an Active snapshot which directory takes what is written: there is no need to mount
// anything for unpacking, and writing past overlayfs is faster.
func targetOf(ms []snapshot.Mount) (target, error) {
	if len(ms) != 1 || ms[0].Target != "" {
		return target{}, errNeedsMount
	}
	switch m := ms[0]; m.Type {
	case "bind", "rbind":
		return target{dir: m.Source}, nil
	case "overlay":
		upper, lowers := option(m, "upperdir="), strings.Split(option(m, "lowerdir="), ":")
		if upper == "" {
			return target{}, fmt.Errorf("read-only overlay: %w", errNeedsMount)
		}
		return target{upper, layer.Options{Whiteouts: layer.Overlay, Lowers: lowers}}, nil
	}
	return target{}, errNeedsMount
}

// lowersOf gives the directories that a View shows, nearest first.
func lowersOf(ms []snapshot.Mount) ([]string, error) {
	if len(ms) != 1 || ms[0].Target != "" {
		return nil, errNeedsMount
	}
	if ms[0].Type == "overlay" {
		return strings.Split(option(ms[0], "lowerdir="), ":"), nil
	}
	return []string{ms[0].Source}, nil
}

func option(m snapshot.Mount, prefix string) string {
	for _, o := range m.Options {
		if value, ok := strings.CutPrefix(o, prefix); ok {
			return value
		}
	}
	return ""
}

// Apply unpacks the layer that r gives, compressed or not, into the Active snapshot that the mounts are of, and gives the digest
// and size of the uncompressed layer. Mounts of a foreign snapshotter are made for the time it takes.
func Apply(ctx context.Context, r io.Reader, mounts []snapshot.Mount) (diffID digest.Digest, size int64, err error) {
	t, err := targetOf(mounts)
	if errors.Is(err, errNeedsMount) {
		return applyMounted(ctx, r, mounts)
	}
	if err != nil {
		return "", 0, err
	}
	s, err := applyStream(ctx, r, t, digest.Canonical)
	return s.diffID, s.size, err
}

func applyMounted(ctx context.Context, r io.Reader, mounts []snapshot.Mount) (_ digest.Digest, _ int64, err error) {
	dir, err := os.MkdirTemp("", "slipway-apply-")
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	if err := snapshot.MountAll(mounts, dir); err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, snapshot.UnmountAll(dir)) }()
	s, err := applyStream(ctx, r, target{dir: dir}, digest.Canonical) // the kernel makes the whiteouts
	return s.diffID, s.size, err
}

// applyBlob applies a layer and holds it against its diff id.
func applyBlob(ctx context.Context, r io.Reader, t target, want digest.Digest) (layer.Result, error) {
	s, err := applyStream(ctx, r, t, want.Algorithm())
	if err != nil {
		return layer.Result{}, err
	}
	if s.diffID != want {
		return layer.Result{}, fmt.Errorf("diff id %s where the config promises %s: %w", s.diffID, want, ErrDigest)
	}
	return s.result, nil
}

// stream is an applied layer.
type stream struct {
	diffID digest.Digest
	size   int64
	result layer.Result
}

// applyStream decompresses and hashes in one goroutine and writes files in another.
func applyStream(ctx context.Context, r io.Reader, t target, algorithm digest.Algorithm) (stream, error) {
	plain, err := layer.Decompress(r)
	if err != nil {
		return stream{}, err
	}
	defer plain.Close()
	hash, size := algorithm.Digester(), counter(0)
	ahead := layer.ReadAhead(io.TeeReader(plain, io.MultiWriter(hash.Hash(), &size)))
	defer ahead.Close() // before plain.Close
	result, err := layer.Apply(ctx, t.dir, ahead, t.options)
	if err != nil {
		return stream{}, err
	}
	// A tar ends before its padding does, and the digest is of all of it. But some bytes of gzip are a gigabyte of zeros.
	padding := t.options.Limits.OrDefault().Padding
	n, err := io.Copy(io.Discard, io.LimitReader(ahead, padding+1))
	if err != nil {
		return stream{}, fmt.Errorf("read layer: %w", err)
	}
	if n > padding {
		return stream{}, fmt.Errorf("more than %d bytes behind the end of the archive: %w", padding, layer.ErrLimit)
	}
	if err := ahead.Close(); err != nil {
		return stream{}, err
	}
	return stream{hash.Digest(), int64(size), result}, nil
}

// counter counts the bytes written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
