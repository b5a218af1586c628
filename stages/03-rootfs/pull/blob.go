package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
)

const (
	attempts   = 5
	firstPause = 200 * time.Millisecond
	bufferSize = 512 << 10
	tick       = 100 * time.Millisecond // between two reports of the same blob
)

// ingestRef is the same for all who want this blob, so that each is downloaded once at a time.
func ingestRef(desc ocispec.Descriptor) string { return refOf(desc.Digest) }

func refOf(d digest.Digest) string { return "blob-" + d.String() }

// blob brings one blob into the store.
func (f *fetcher) blob(ctx context.Context, desc ocispec.Descriptor, isLayer bool) error {
	w, err := f.store.Writer(ingestRef(desc), desc.Size, desc.Digest)
	if errors.Is(err, content.ErrLocked) {
		err = f.waitFor(ctx, desc.Digest, err) // another pull is at it
		if err == nil {
			err = content.ErrExists
		} else if errors.Is(err, content.ErrNotFound) {
			return f.blob(ctx, desc, isLayer) // it gave up: our turn
		}
	}
	if errors.Is(err, content.ErrExists) {
		if isLayer {
			f.report(layerEvent(desc, AlreadyExists, desc.Size))
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("blob %s: %w", desc.Digest, err)
	}
	d := &download{fetcher: f, desc: desc, writer: w, layer: isLayer}
	if err := errors.Join(d.run(ctx), w.Close()); err != nil {
		if errors.Is(err, ErrDigest) || isNoSpace(err) {
			// What is wrong or in the way is not kept for resuming.
			err = errors.Join(err, ignoreNotFound(f.store.Abort(ingestRef(desc))))
		}
		return fmt.Errorf("blob %s: %w", desc.Digest, err)
	}
	if isLayer {
		f.report(layerEvent(desc, DownloadComplete, desc.Size))
	}
	return nil
}

func ignoreNotFound(err error) error {
	if errors.Is(err, content.ErrNotFound) {
		return nil
	}
	return err
}

// waitFor waits until somebody else has brought the blob; content.ErrNotFound when he stopped without it.
func (f *fetcher) waitFor(ctx context.Context, d digest.Digest, why error) error {
	for errors.Is(why, content.ErrLocked) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(tick):
		}
		w, err := f.store.Writer(refOf(d), 0, d)
		if err == nil {
			return errors.Join(content.ErrNotFound, w.Close())
		}
		why = err
	}
	if errors.Is(why, content.ErrExists) {
		return nil
	}
	return why
}

// download is one blob on its way.
type download struct {
	*fetcher
	desc   ocispec.Descriptor
	writer *content.Writer
	layer  bool
	last   time.Time // of the last report
}

// run tries until the blob is whole. Each attempt goes on where the last one was cut off; only attempts that brought nothing count.
func (d *download) run(ctx context.Context) error {
	resumed := d.writer.Status().Offset > 0
	pause := firstPause
	for failed := 0; ; {
		before := d.writer.Status().Offset
		err := d.attempt(ctx)
		if err == nil {
			err = d.commit()
		}
		switch {
		case errors.Is(err, ErrDigest) && resumed:
			// Perhaps what an earlier process left was no good: once more from the start.
			resumed = false
			if err := d.writer.Truncate(0); err != nil {
				return err
			}
			continue
		case err == nil || !isTransient(err) || ctx.Err() != nil:
			return err
		case d.writer.Status().Offset <= before:
			failed++
		}
		if failed == attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, 5*time.Second)
	}
}

func (d *download) commit() error {
	_, err := d.writer.Commit(d.desc.Size, d.desc.Digest)
	if errors.Is(err, content.ErrDigest) {
		return fmt.Errorf("%w: received %s, %d bytes", ErrDigest, d.writer.Digest(), d.writer.Status().Offset)
	}
	if errors.Is(err, content.ErrExists) {
		return nil
	}
	return err
}

// attempt asks for what is missing and writes it.
func (d *download) attempt(ctx context.Context) error {
	offset := d.writer.Status().Offset
	if offset > d.desc.Size {
		if err := d.again(); err != nil {
			return err
		}
		offset = 0
	}
	if offset == d.desc.Size {
		return nil
	}
	resp, err := d.ask(ctx, offset)
	if offset > 0 && errors.Is(err, ErrRegistry) && !isTransient(err) {
		// It has the blob, perhaps, but no idea of ranges.
		if err := d.again(); err != nil {
			return err
		}
		return d.attempt(ctx)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if offset > 0 && !continues(resp, offset) {
		if err := d.again(); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%w: asked for bytes from %d on, got %q", ErrUnreachable, offset, resp.Header.Get("Content-Range"))
		}
	}
	return d.copy(resp)
}

// again starts from the beginning.
func (d *download) again() error { return d.writer.Truncate(0) }

// ask sends the request for the rest of the blob: to the registry, and for a layer that is published elsewhere (image-spec,
// descriptor.md, "urls") there when the registry has it not.
func (d *download) ask(ctx context.Context, offset int64) (*http.Response, error) {
	header := http.Header{}
	if t := knownType(d.desc.MediaType); t != "" {
		header.Set("Accept", t)
	}
	if offset > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, d.desc.Size-1))
	}
	resp, err := d.registry.get(ctx, d.path(), header, http.StatusOK, http.StatusPartialContent)
	if errors.Is(err, ErrNotFound) && isForeign(d.desc.MediaType) && len(d.desc.URLs) > 0 {
		return d.registry.elsewhere(ctx, d.desc.URLs, header)
	}
	return resp, err
}

// path of the blob. Manifests that an index names are served apart from blobs.
func (d *download) path() string {
	if knownType(d.desc.MediaType) != "" {
		return "/manifests/" + d.desc.Digest.String()
	}
	return "/blobs/" + d.desc.Digest.String()
}

// continues tells whether the answer begins at offset (RFC 9110, 14.4).
func continues(resp *http.Response, offset int64) bool {
	return resp.StatusCode == http.StatusPartialContent &&
		strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", offset))
}

// copy writes what comes, but never more than the blob's size: a registry that sends without end fills no disk.
func (d *download) copy(resp *http.Response) error {
	buffer := make([]byte, min(bufferSize, d.desc.Size+1))
	for {
		n, readErr := resp.Body.Read(buffer)
		left := d.desc.Size - d.writer.Status().Offset
		if int64(n) > left {
			return fmt.Errorf("more than the %d bytes promised: %w", d.desc.Size, ErrDigest)
		}
		if _, err := d.writer.Write(buffer[:n]); err != nil {
			return err
		}
		d.progress()
		switch {
		case errors.Is(readErr, io.EOF) && int64(n) == left:
			return nil
		case errors.Is(readErr, io.EOF) && isWhole(resp):
			return fmt.Errorf("got %d bytes, want %d: %w", d.writer.Status().Offset, d.desc.Size, ErrDigest)
		case errors.Is(readErr, io.EOF):
			return fmt.Errorf("%w: connection closed after %d of %d bytes", ErrUnreachable, d.writer.Status().Offset, d.desc.Size)
		case readErr != nil:
			return classify(readErr)
		}
	}
}

// isWhole tells whether an answer that has ended is all that the registry has. With a length or in chunks an answer that was cut
// off ends with an error and not with EOF; without either the end of the connection is all that can be seen
// (RFC 9112, 6.3). A part of a blob may be shorter than the part that was asked for (RFC 9110, 15.3.7).
func isWhole(resp *http.Response) bool {
	return resp.StatusCode == http.StatusOK && (resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0 || resp.ProtoMajor > 1)
}

func (d *download) progress() {
	if now := time.Now(); d.layer && now.Sub(d.last) >= tick {
		d.last = now
		d.report(layerEvent(d.desc, Downloading, d.writer.Status().Offset))
	}
}
