package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/google/go-containerregistry/pkg/authn"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layout"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
)

// globals are the flags of all verbs.
type globals struct {
	root, snapshotter string
	quiet             bool
	mirrors           []string // [REGISTRY=]URL
	plainHTTP         []string // HOST[:PORT]
	maxLayer          string   // a size with a unit, or "" for none
}

// state is what lies below --root: content/ is an OCI image layout, overlay/, btrfs/ or copy/ are its snapshots.
type state struct {
	store     *content.Store
	names     *layout.Layout
	snapshots snapshot.Snapshotter
}

// patience is how long a rootfs waits for another one to finish.
const patience = 2 * time.Minute

// open opens the state. The lock of the snapshots is also the lock of the names: one rootfs at a time.
func (g *globals) open(ctx context.Context) (*state, error) {
	s := &state{}
	var err error
	if s.store, err = content.Open(filepath.Join(g.root, "content")); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		s.snapshots, err = g.openSnapshots()
		if !errors.Is(err, snapshot.ErrLocked) {
			break
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err != nil {
		return nil, err
	}
	if s.names, err = layout.Open(s.store.Dir()); err != nil {
		return nil, errors.Join(err, s.snapshots.Close())
	}
	if err := sweepRuns(ctx, g.root, s.snapshots); err != nil {
		return nil, errors.Join(err, s.snapshots.Close())
	}
	return s, nil
}

func (g *globals) openSnapshots() (snapshot.Snapshotter, error) {
	dir := filepath.Join(g.root, g.snapshotter)
	switch g.snapshotter {
	case "overlay":
		s, err := snapshot.NewOverlay(dir)
		if err != nil {
			return nil, err
		}
		return s, nil
	case "copy":
		s, err := snapshot.NewCopy(dir)
		if err != nil {
			return nil, err
		}
		return s, nil
	case "btrfs":
		s, err := snapshot.NewBtrfs(dir)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	return nil, fmt.Errorf("snapshotter %q: overlay, btrfs and copy are known", g.snapshotter)
}

func (s *state) close() error { return s.snapshots.Close() }

// with opens the state for the time of f.
func (g *globals) with(ctx context.Context, f func(*state) error) error {
	s, err := g.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(f(s), s.close())
}

// pullOptions are for all that talks to registries. Who we are is in Docker's config.json and its credential helpers.
func (g *globals) pullOptions(progress io.Writer) (pull.Options, error) {
	o := pull.Options{Keychain: authn.DefaultKeychain, Mirrors: map[string][]string{}}
	for _, m := range g.mirrors {
		host, base, ok := strings.Cut(m, "=")
		if !ok {
			host, base = "docker.io", m
		}
		if u, err := url.Parse(base); err != nil || u.Host == "" || u.Path != "" && u.Path != "/" {
			return o, fmt.Errorf("mirror %q is not [REGISTRY=]http[s]://HOST[:PORT]", m)
		}
		o.Mirrors[host] = append(o.Mirrors[host], base)
	}
	if g.maxLayer != "" {
		n, err := units.RAMInBytes(g.maxLayer)
		if err != nil || n <= 0 {
			return o, fmt.Errorf("--max-layer %q is not a size such as 512m", g.maxLayer)
		}
		o.Limits.Bytes = n
	}
	o.PlainHTTP = func(host string) bool { return pull.IsLoopback(host) || slices.Contains(g.plainHTTP, host) }
	if !g.quiet {
		o.Progress = newProgress(progress).show
	}
	return o, nil
}

// canonical is the name under which an image is kept.
func canonical(ref string) (string, error) {
	named, err := pull.ParseReference(ref)
	if err != nil {
		return "", err
	}
	return named.String(), nil
}

// find gives an image that was pulled or imported before, for a platform or nil for this machine's.
func (s *state) find(ref string, platform *ocispec.Platform) (pull.Image, error) {
	name, err := canonical(ref)
	if err != nil {
		return pull.Image{}, err
	}
	desc, err := s.names.Get(name)
	if err != nil {
		return pull.Image{}, err
	}
	img, err := pull.ReadImage(s.store, desc, platform)
	if err != nil {
		return pull.Image{}, fmt.Errorf("%s: %w", name, err)
	}
	img.Name = name
	return img, nil
}

// pull fetches an image and remembers its name.
func (s *state) pull(ctx context.Context, ref string, o pull.Options) (pull.Image, error) {
	img, err := pull.Fetch(ctx, ref, s.store, o)
	if err != nil {
		return pull.Image{}, err
	}
	return img, s.names.Set(img.Name, img.Target)
}

// ensure gives the image and pulls it only when it is not there, or there for another platform.
func (s *state) ensure(ctx context.Context, ref string, o pull.Options) (pull.Image, error) {
	img, err := s.find(ref, o.Platform)
	if errors.Is(err, layout.ErrNotFound) || o.Platform != nil && errors.Is(err, pull.ErrNotFound) {
		return s.pull(ctx, ref, o)
	}
	return img, err
}
