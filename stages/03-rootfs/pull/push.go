package pull

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"golang.org/x/sync/errgroup"
)

// Push sends the image or index that target is of to the registry and the tag that ref names. What the registry has is not sent
// again. sources gives for a blob the repositories of the same registry that may have it, to mount it from there; nil for none.
// Everything is held against its digest while it is sent. The name comes last: a push that fails names nothing.
func Push(ctx context.Context, ref string, target ocispec.Descriptor, store *content.Store, sources map[digest.Digest][]string, o Options) error {
	named, err := ParseReference(ref)
	if err != nil {
		return err
	}
	if err := push(ctx, named, target, newFetcher(store, o), sources); err != nil {
		return fmt.Errorf("push %s: %w", reference.FamiliarString(named), err)
	}
	return nil
}

func push(ctx context.Context, named reference.Named, target ocispec.Descriptor, f *fetcher, sources map[digest.Digest][]string) error {
	tagged, ok := named.(reference.NamedTagged)
	if _, digested := named.(reference.Digested); digested || !ok {
		return fmt.Errorf("%w: a push gives a tag its meaning, and a digest has its own", ErrReference)
	}
	blobs, documents, err := plan(f.store, target)
	if err != nil {
		return err
	}
	domain := reference.Domain(named)
	from := repositories(blobs, sources, reference.Path(named))
	r, err := f.connect(ctx, endpoint{domain, f.options.PlainHTTP(domain)}, reference.Path(named), transport.PushScope, from...)
	if err != nil {
		return err
	}
	defer r.close()
	f.registry = r
	g, sub := errgroup.WithContext(ctx)
	g.SetLimit(f.options.Parallel)
	for _, b := range blobs {
		g.Go(func() error {
			if err := (&upload{fetcher: f, desc: b, sources: sources[b.Digest]}).run(sub); err != nil {
				return fmt.Errorf("blob %s: %w", b.Digest, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, d := range documents {
		which := d.Digest.String()
		if d.Digest == target.Digest {
			which = tagged.Tag()
		}
		if err := f.putManifest(ctx, d, which); err != nil {
			return fmt.Errorf("manifest %s: %w", d.Digest, err)
		}
	}
	return nil
}

// plan lists what an image consists of: its blobs, and its documents in the order in which a registry takes them, which refuses a
// document before what it names.
func plan(store *content.Store, desc ocispec.Descriptor) (blobs, documents []ocispec.Descriptor, err error) {
	children, err := Children(store, desc)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range children {
		if IsManifest(c) {
			b, d, err := plan(store, c)
			if err != nil {
				return nil, nil, err
			}
			blobs, documents = append(blobs, b...), append(documents, d...)
			continue
		}
		if _, err := store.Info(c.Digest); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.Digest, ErrNotFound)
		}
		blobs = append(blobs, c)
	}
	return unique(blobs), unique(append(documents, desc)), nil
}

func unique(all []ocispec.Descriptor) []ocispec.Descriptor {
	seen := map[digest.Digest]bool{}
	return slices.DeleteFunc(all, func(d ocispec.Descriptor) bool {
		again := seen[d.Digest]
		seen[d.Digest] = true
		return again
	})
}

// repositories are those that something may be mounted from.
func repositories(blobs []ocispec.Descriptor, sources map[digest.Digest][]string, own string) []string {
	var all []string
	for _, b := range blobs {
		all = append(all, sources[b.Digest]...)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(r string) bool { return r == own })
}

// Complete tells whether all of an image, or of an index and all its images, is in the store, so that it can be passed on.
func Complete(store *content.Store, desc ocispec.Descriptor) (bool, error) {
	_, _, err := plan(store, desc)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Parts lists the blobs and then the documents of an image, each before what names it. All are in the store.
func Parts(store *content.Store, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	blobs, documents, err := plan(store, desc)
	return append(blobs, documents...), err
}

func (f *fetcher) putManifest(ctx context.Context, desc ocispec.Descriptor, which string) error {
	p, err := f.store.ReadAll(desc.Digest, maxDocument)
	if err != nil {
		return err
	}
	if got := desc.Digest.Algorithm().FromBytes(p); got != desc.Digest {
		return fmt.Errorf("%w: the store holds %s", ErrDigest, got)
	}
	d, err := parseDocument(desc.MediaType, p)
	if err != nil {
		return err
	}
	return patiently(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, f.registry.base+"/manifests/"+which, bytes.NewReader(p))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", d.MediaType)
		resp, err := f.registry.do(req, http.StatusCreated, http.StatusOK, http.StatusAccepted)
		if err != nil {
			return err
		}
		return drain(resp)
	})
}

// drain reads what is left, so that the connection can be used again.
func drain(resp *http.Response) error {
	_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxDocument))
	return errors.Join(err, resp.Body.Close())
}
