package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// upload is one blob on its way to the registry (distribution-spec, "Pushing blobs").
type upload struct {
	*fetcher
	desc    ocispec.Descriptor
	sources []string
	last    time.Time // of the last report
}

func (u *upload) run(ctx context.Context) error {
	there, err := u.exists(ctx)
	if there || err != nil {
		return err
	}
	for _, from := range u.sources {
		if mounted, err := u.mount(ctx, from); mounted || err != nil {
			return err
		}
	}
	if isForeign(u.desc.MediaType) && len(u.desc.URLs) > 0 {
		return nil // others get it where its owner wants
	}
	if err := patiently(ctx, func() error { return u.sendBlob(ctx) }); err != nil {
		return err
	}
	u.report(layerEvent(u.desc, Pushed, u.desc.Size))
	return nil
}

func (u *upload) exists(ctx context.Context) (there bool, err error) {
	err = patiently(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, u.registry.base+"/blobs/"+u.desc.Digest.String(), nil)
		if err != nil {
			return err
		}
		resp, err := u.registry.do(req, http.StatusOK, http.StatusNotFound)
		if err != nil {
			return err
		}
		there = resp.StatusCode == http.StatusOK
		return resp.Body.Close()
	})
	if there {
		u.report(layerEvent(u.desc, AlreadyExists, u.desc.Size))
	}
	return there, err
}

// mount asks for a blob of another repository. A registry that does not want to, or does not know the blob, begins an upload instead,
// which we leave to its own end.
func (u *upload) mount(ctx context.Context, from string) (bool, error) {
	resp, err := u.begin(ctx, url.Values{"mount": {u.desc.Digest.String()}, "from": {from}})
	if err != nil {
		if errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrNotFound) {
			return false, nil // not ours to read
		}
		return false, err
	}
	if err := drain(resp); err != nil || resp.StatusCode != http.StatusCreated {
		return false, err
	}
	u.report(layerEvent(u.desc, Mounted, u.desc.Size))
	return true, nil
}

func (u *upload) begin(ctx context.Context, query url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.registry.base+"/blobs/uploads/?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	return u.registry.do(req, http.StatusCreated, http.StatusAccepted)
}

// sendBlob begins an upload and sends all of it in one request.
func (u *upload) sendBlob(ctx context.Context) error {
	resp, err := u.begin(ctx, nil)
	if err != nil {
		return err
	}
	if err := drain(resp); err != nil {
		return err
	}
	to, err := u.location(resp)
	if err != nil {
		return err
	}
	blob, err := u.store.ReaderAt(u.desc.Digest)
	if err != nil {
		return err
	}
	defer blob.Close()
	body := &outgoing{upload: u, reader: io.NewSectionReader(blob, 0, blob.Size()), verifier: u.desc.Digest.Verifier()}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, to, body)
	if err != nil {
		return err
	}
	req.ContentLength = blob.Size()
	req.Header.Set("Content-Type", "application/octet-stream")
	answer, err := u.registry.do(req, http.StatusCreated, http.StatusNoContent)
	if err != nil {
		if body.wrong {
			return fmt.Errorf("%w: the store holds something else", ErrDigest) // it is not the registry that cannot be reached
		}
		return err
	}
	return drain(answer)
}

// location is where the upload goes: to the registry, or to where it sends us, but never from https to http.
func (u *upload) location(resp *http.Response) (string, error) {
	to, err := resp.Location()
	if err != nil {
		return "", fmt.Errorf("%w: an upload without a place to go: %w", ErrRegistry, err)
	}
	own := resp.Request.URL
	if to.Host != own.Host && to.Scheme != "https" && !u.options.PlainHTTP(to.Host) || own.Scheme == "https" && to.Scheme != "https" {
		return "", fmt.Errorf("%w: it sends the upload to %s://%s", ErrRegistry, to.Scheme, to.Host)
	}
	query := to.Query()
	query.Set("digest", u.desc.Digest.String())
	to.RawQuery = query.Encode()
	return to.String(), nil
}

// outgoing is a blob that is held against its digest before its last byte is sent.
type outgoing struct {
	*upload
	reader   io.Reader
	verifier digest.Verifier
	sent     int64
	wrong    bool
}

func (o *outgoing) Read(p []byte) (int, error) {
	n, err := o.reader.Read(p)
	if _, err := o.verifier.Write(p[:n]); err != nil {
		return 0, err
	}
	o.sent += int64(n)
	if o.sent >= o.desc.Size && !o.verifier.Verified() {
		o.wrong = true
		return 0, ErrDigest
	}
	if now := time.Now(); now.Sub(o.last) >= tick {
		o.last = now
		o.report(layerEvent(o.desc, Pushing, o.sent))
	}
	return n, err
}
