package pull

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Some layers may not be passed on, says their owner (Windows's base layers did). A manifest names an address for them, and the
// registry need not have them (image-spec, layer.md#non-distributable-layers; deprecated, but in old images).
const (
	ociForeign    = "application/vnd.oci.image.layer.nondistributable.v1.tar"
	dockerForeign = "application/vnd.docker.image.rootfs.foreign.diff.tar"
)

func isForeign(mediaType string) bool {
	return strings.HasPrefix(mediaType, ociForeign) || strings.HasPrefix(mediaType, dockerForeign)
}

// elsewhere asks the addresses of a foreign layer in turn. Whoever wrote the manifest chose them, so nobody there hears who we are
// (CVE-2020-15157), and none is spoken to in the clear unless the registry itself is.
func (r *registry) elsewhere(ctx context.Context, urls []string, header http.Header) (*http.Response, error) {
	var failed error
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" && (u.Scheme != "http" || !r.plain) || u.Host == "" {
			failed = errors.Join(failed, fmt.Errorf("%w: a foreign layer at %q, which is no https address", ErrManifest, text))
			continue
		}
		u.User = nil
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, err
		}
		req.Header = header.Clone()
		resp, err := r.send(r.foreign, req, http.StatusOK, http.StatusPartialContent)
		if err == nil {
			return resp, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}
