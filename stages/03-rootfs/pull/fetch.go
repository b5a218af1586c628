package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const defaultParallel = 3 // downloads at once, as Docker does

// Fetch brings the image that ref names from its registry into the store. What is there is not fetched again,
// what was begun is continued, and everything is held against its digest and size while it is written. Beside an error
// the Image tells what was known by then: blobs of it may be in the store.
func Fetch(ctx context.Context, ref string, store *content.Store, o Options) (Image, error) {
	img, _, err := run(ctx, ref, store, nil, o)
	return img, err
}

// Pull is Fetch and Unpack at once: each layer is unpacked as soon as it is there, while others are still on their way. It gives the
// chain id too.
func Pull(ctx context.Context, ref string, store *content.Store, s snapshot.Snapshotter, o Options) (Image, string, error) {
	return run(ctx, ref, store, s, o)
}

func run(ctx context.Context, ref string, store *content.Store, s snapshot.Snapshotter, o Options) (Image, string, error) {
	named, err := ParseReference(ref)
	if err != nil {
		return Image{}, "", err
	}
	f := newFetcher(store, o)
	img, chain, err := f.fetch(ctx, named, s)
	if err != nil {
		return img, "", fmt.Errorf("pull %s: %w", reference.FamiliarString(named), err)
	}
	return img, chain, nil
}

// ParseReference reads a name as Docker does: "alpine" is docker.io/library/alpine:latest. With a digest the tag does not count.
func ParseReference(ref string) (reference.Named, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return nil, fmt.Errorf("%q: %w%s", ref, ErrReference, strings.TrimPrefix(err.Error(), ErrReference.Error()))
	}
	return named, nil
}

// fetcher is one Fetch.
type fetcher struct {
	store   *content.Store
	options Options

	mu       sync.Mutex // guards calls of options.Progress
	registry *registry
	arrived  map[digest.Digest]chan struct{} // closed when the layer is in the store; nil when nothing is being fetched
}

func newFetcher(store *content.Store, o Options) *fetcher {
	if o.PlainHTTP == nil {
		o.PlainHTTP = IsLoopback
	}
	if o.Parallel <= 0 {
		o.Parallel = defaultParallel
	}
	return &fetcher{store: store, options: o}
}

func (f *fetcher) fetch(ctx context.Context, named reference.Named, s snapshot.Snapshotter) (Image, string, error) {
	f.report(Event{ID: reference.FamiliarString(named), Phase: Resolving})
	root, err := f.resolve(ctx, named)
	if err != nil {
		return Image{}, "", err
	}
	defer f.registry.close()
	img, err := readImage(ctx, f, root, f.options.Platform)
	if err != nil {
		return Image{Name: named.String(), Target: root}, "", err
	}
	img.Name = named.String()
	f.arrived = map[digest.Digest]chan struct{}{}
	for _, l := range img.Layers {
		f.arrived[l.Digest] = make(chan struct{})
	}
	var chain string
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.layers(ctx, img) })
	if s != nil {
		g.Go(func() (err error) {
			chain, err = unpack(ctx, f, img, s)
			return err
		})
	}
	return img, chain, g.Wait()
}

// wait waits until a layer has come. Without a download under way there is nothing to wait for.
func (f *fetcher) wait(ctx context.Context, d digest.Digest) error {
	if f.arrived == nil {
		return nil
	}
	select {
	case <-f.arrived[d]:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fetcher) report(e Event) {
	if f.options.Progress == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.options.Progress(e)
}

// endpoint is a place to get an image from.
type endpoint struct {
	host  string
	plain bool
}

// endpoints are the mirrors and, last, the registry itself.
func (f *fetcher) endpoints(domain string) ([]endpoint, error) {
	var all []endpoint
	for _, m := range f.options.Mirrors[domain] {
		u, err := url.Parse(m)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("mirror %q is no URL: %w", m, ErrReference)
		}
		all = append(all, endpoint{u.Host, u.Scheme == "http" || f.options.PlainHTTP(u.Host)})
	}
	return append(all, endpoint{domain, f.options.PlainHTTP(domain)}), nil
}

// resolve finds out what the name stands for, and with that which endpoint we stay with. A mirror that cannot
// answer, for whatever reason, only leads on to the next.
func (f *fetcher) resolve(ctx context.Context, named reference.Named) (ocispec.Descriptor, error) {
	endpoints, err := f.endpoints(reference.Domain(named))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	var failed error
	for _, e := range endpoints {
		var r *registry
		if r, failed = f.connect(ctx, e, reference.Path(named), transport.PullScope); failed != nil {
			continue
		}
		var desc ocispec.Descriptor
		if desc, failed = f.root(ctx, r, named); failed == nil {
			f.registry = r
			return desc, nil
		}
		r.close()
	}
	return ocispec.Descriptor{}, failed
}

// root fetches what the name stands for into the store.
func (f *fetcher) root(ctx context.Context, r *registry, named reference.Named) (ocispec.Descriptor, error) {
	want := digest.Digest("")
	which := "latest"
	if tagged, ok := named.(reference.Tagged); ok {
		which = tagged.Tag()
	}
	if d, ok := named.(reference.Digested); ok {
		want, which = d.Digest(), d.Digest().String()
	}
	var p []byte
	var mediaType string
	err := patiently(ctx, func() (err error) {
		p, mediaType, err = getManifest(ctx, r, which)
		return err
	})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	algorithm := digest.Canonical
	if want != "" {
		algorithm = want.Algorithm()
	}
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: algorithm.FromBytes(p), Size: int64(len(p))}
	if want != "" && want != desc.Digest {
		return desc, fmt.Errorf("manifest %s: got %s: %w", want, desc.Digest, ErrDigest)
	}
	d, err := parseDocument(mediaType, p)
	if err != nil {
		return desc, err
	}
	desc.MediaType = d.MediaType
	return desc, f.put(ctx, desc, p)
}

func getManifest(ctx context.Context, r *registry, which string) (p []byte, mediaType string, err error) {
	accept := []string{ocispec.MediaTypeImageIndex, dockerIndex, ocispec.MediaTypeImageManifest, dockerManifest}
	resp, err := r.get(ctx, "/manifests/"+which, http.Header{"Accept": accept}, http.StatusOK)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	p, err = io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, "", classify(err)
	}
	return p, knownType(resp.Header.Get("Content-Type")), nil
}

// put writes a document that is in memory.
func (f *fetcher) put(ctx context.Context, desc ocispec.Descriptor, p []byte) error {
	w, err := f.store.Writer(ingestRef(desc), desc.Size, desc.Digest)
	if errors.Is(err, content.ErrLocked) {
		if err = f.waitFor(ctx, desc.Digest, err); errors.Is(err, content.ErrNotFound) {
			return f.put(ctx, desc, p)
		}
		return err
	}
	if errors.Is(err, content.ErrExists) {
		return nil
	}
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Truncate(0); err != nil {
		return err
	}
	if _, err := w.Write(p); err != nil {
		return errors.Join(err, w.Close(), f.store.Abort(ingestRef(desc)))
	}
	if _, err := w.Commit(desc.Size, desc.Digest); err != nil && !errors.Is(err, content.ErrExists) {
		return err
	}
	return nil
}

// document implements source.
func (f *fetcher) document(ctx context.Context, desc ocispec.Descriptor) ([]byte, error) {
	p, err := f.store.ReadAll(desc.Digest, maxDocument)
	if err == nil {
		return p, nil
	}
	if !errors.Is(err, content.ErrNotFound) {
		return nil, err
	}
	if desc.Size > maxDocument {
		return nil, fmt.Errorf("%s has %d bytes: %w", desc.Digest, desc.Size, ErrManifest)
	}
	if err := f.blob(ctx, desc, false); err != nil {
		return nil, err
	}
	return f.store.ReadAll(desc.Digest, maxDocument)
}

// layers fetches all layers, several at once. A layer that an image holds twice is fetched once.
func (f *fetcher) layers(ctx context.Context, img Image) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(f.options.Parallel)
	unique := map[digest.Digest]ocispec.Descriptor{}
	var order []ocispec.Descriptor
	for _, l := range img.Layers {
		if _, ok := unique[l.Digest]; ok {
			continue
		}
		unique[l.Digest] = l
		order = append(order, l)
		f.report(layerEvent(l, Waiting, 0))
	}
	for _, l := range order {
		g.Go(func() error {
			err := f.blob(ctx, l, true)
			if err == nil {
				close(f.arrived[l.Digest])
			}
			return err
		})
	}
	err := g.Wait()
	if isNoSpace(err) {
		// The disk is needed more than the half of a download.
		for _, l := range order {
			if abort := f.store.Abort(ingestRef(l)); abort != nil && !errors.Is(abort, content.ErrNotFound) {
				err = errors.Join(err, abort)
			}
		}
	}
	return err
}

func isNoSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

func layerEvent(l ocispec.Descriptor, phase Phase, current int64) Event {
	return Event{Digest: l.Digest, ID: shortID(l.Digest), Layer: true, Phase: phase, Current: current, Total: l.Size}
}

// shortID is the beginning of a digest that is enough for people.
func shortID(d digest.Digest) string {
	return d.Encoded()[:12]
}
