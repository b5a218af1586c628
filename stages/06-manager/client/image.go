package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
)

// maxDocument bounds what ReadJSON takes into memory.
const maxDocument = 8 << 20

// Blob writes a blob to w.
func (c *Client) Blob(ctx context.Context, d string, w io.Writer) error {
	r, err := c.Content.Read(ctx, &contentapi.ReadContentRequest{Digest: d})
	if err != nil {
		return err
	}
	for {
		m, err := r.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(m.GetData()); err != nil {
			return err
		}
	}
}

// ReadJSON reads an index, manifest or config.
func (c *Client) ReadJSON(ctx context.Context, d string, into any) error {
	var buf bytes.Buffer
	if err := c.Blob(ctx, d, &limited{&buf, maxDocument}); err != nil {
		return err
	}
	if err := json.Unmarshal(buf.Bytes(), into); err != nil {
		return fmt.Errorf("content %s: %w", d, err)
	}
	return nil
}

type limited struct {
	io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, fmt.Errorf("larger than %d bytes", maxDocument)
	}
	return l.Writer.Write(p)
}

// Image is what an image record leads to.
type Image struct {
	Target    string
	Manifest  ocispec.Manifest
	Config    ocispec.Image
	Platforms []string
	Size      int64 // of manifest, config and layers, compressed
}

// ChainID names the snapshot with all layers: the parent of a container's root.
func (i Image) ChainID() string {
	ids := pull.ChainIDs(i.Config.RootFS.DiffIDs)
	if len(ids) == 0 {
		return ""
	}
	return ids[len(ids)-1].String()
}

// ReadImage follows a target to its manifest for this machine and its config.
func (c *Client) ReadImage(ctx context.Context, target digest.Digest) (Image, error) {
	img := Image{Target: target.String()}
	var doc struct {
		ocispec.Manifest
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := c.ReadJSON(ctx, target.String(), &doc); err != nil {
		return img, err
	}
	if len(doc.Manifests) > 0 {
		return c.fromIndex(ctx, img, doc.Manifests)
	}
	img.Manifest = doc.Manifest
	img.Size = img.Manifest.Config.Size
	for _, l := range img.Manifest.Layers {
		img.Size += l.Size
	}
	if err := c.ReadJSON(ctx, img.Manifest.Config.Digest.String(), &img.Config); err != nil {
		return img, err
	}
	img.Platforms = []string{img.Config.OS + "/" + img.Config.Architecture}
	return img, nil
}

// fromIndex takes the first manifest of this machine's kind that is here.
func (c *Client) fromIndex(ctx context.Context, img Image, manifests []ocispec.Descriptor) (Image, error) {
	for _, m := range manifests {
		if m.Platform != nil && (m.Platform.OS != runtime.GOOS || m.Platform.Architecture != runtime.GOARCH) {
			continue
		}
		found, err := c.ReadImage(ctx, m.Digest)
		if status.Code(err) == codes.NotFound {
			continue
		}
		found.Target = img.Target
		return found, err
	}
	return img, fmt.Errorf("image %s: no manifest for %s/%s here", img.Target, runtime.GOOS, runtime.GOARCH)
}
