package transfer

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/types"
	transfertypes "github.com/containerd/containerd/api/types/transfer"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
)

// leaseTime bounds how long a pull that was killed keeps its blobs (containerd's
// default lease is as long).
const leaseTime = 24 * time.Hour

// puller is one pull.
type puller struct {
	server   *Server
	space    store.Space
	from     *transfertypes.OCIRegistry
	to       *transfertypes.ImageStore
	progress *progress
}

// pull fetches, names, unpacks, and at last gives the image its name: until then
// only the lease keeps what is there, and a pull that fails leaves nothing that
// the next collection does not find.
func (p *puller) pull(ctx context.Context) (err error) {
	if p.space.Lease == "" {
		expires := p.space.Now().Add(leaseTime).Format(time.RFC3339)
		if p.space, err = p.space.TempLease("pull-"+rand.Text(), expires); err != nil {
			return err
		}
		defer func() {
			err = errors.Join(err, p.space.EndLease())
			p.server.GC.Ask()
		}()
	}
	o, err := p.options(ctx)
	if err != nil {
		return err
	}
	img, err := p.fetch(ctx, o)
	if err != nil {
		return err
	}
	for _, u := range p.to.GetUnpacks() {
		if err := p.unpack(ctx, img, o, u.GetSnapshotter()); err != nil {
			return err
		}
	}
	name := p.to.GetName()
	if name == "" {
		name = img.Name
	}
	return p.space.PutImage(&imagesapi.Image{Name: name, Labels: p.to.GetLabels(), Target: descriptor(img.Target)})
}

// fetch brings the blobs and names them in the namespace, labelled so that each
// keeps what it refers to.
func (p *puller) fetch(ctx context.Context, o pull.Options) (_ pull.Image, err error) {
	done := p.space.Pulling()
	defer func() { err = errors.Join(err, done()) }()
	img, err := pull.Fetch(ctx, p.from.GetReference(), p.space.Blobs, o)
	if err != nil {
		return img, kind(err)
	}
	return img, p.name(img.Target)
}

// document is what index and manifest refer to.
type document struct {
	Manifests []ocispec.Descriptor `json:"manifests"`
	Config    *ocispec.Descriptor  `json:"config"`
	Layers    []ocispec.Descriptor `json:"layers"`
}

// maxDocument is how large an index or manifest may be (4 MiB, as in the distribution spec).
const maxDocument = 4 << 20

// name records a blob and all that it refers to and that was fetched: of an
// index only one platform's manifest is here.
func (p *puller) name(desc ocispec.Descriptor) error {
	labels := map[string]string{}
	if isDocument(desc.MediaType) {
		raw, err := p.space.Blobs.ReadAll(desc.Digest, maxDocument)
		if err != nil {
			return err
		}
		var doc document
		if err := json.Unmarshal(raw, &doc); err != nil {
			return fault.New(fault.InvalidArgument, "%s: %w", desc.Digest, err)
		}
		for suffix, child := range doc.children() {
			if _, err := p.space.Blobs.Info(child.Digest); err != nil {
				continue // another platform's
			}
			labels["containerd.io/gc.ref.content."+suffix] = child.Digest.String()
			if err := p.name(child); err != nil {
				return err
			}
		}
	}
	return p.space.AdoptContent(desc.Digest, labels)
}

// children by the suffixes that containerd gives their labels.
func (d document) children() map[string]ocispec.Descriptor {
	all := map[string]ocispec.Descriptor{}
	if d.Config != nil {
		all["config"] = *d.Config
	}
	for i, m := range d.Manifests {
		all[fmt.Sprintf("m.%d", i)] = m
	}
	for i, l := range d.Layers {
		all[fmt.Sprintf("l.%d", i)] = l
	}
	return all
}

func isDocument(mediaType string) bool {
	switch mediaType {
	case ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest,
		"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json":
		return true
	}
	return false
}

// unpack makes the snapshots, and has the config keep the topmost.
func (p *puller) unpack(ctx context.Context, img pull.Image, o pull.Options, snapshotter string) error {
	if snapshotter == "" {
		snapshotter = store.DefaultSnapshotter
	}
	sn, err := p.space.Snapshots(snapshotter)
	if err != nil {
		return err
	}
	for _, id := range pull.ChainIDs(img.DiffIDs) {
		// What is there already is to stay while the rest is put on top of it.
		if err := sn.Hold(id.String()); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	chain, err := pull.Unpack(ctx, img, p.space.Blobs, sn.Unpacker(), o)
	if err != nil {
		return kind(err)
	}
	if chain == "" {
		return nil
	}
	return p.space.AdoptContent(img.Config.Digest, map[string]string{"containerd.io/gc.ref.snapshot." + snapshotter: chain})
}

func descriptor(d ocispec.Descriptor) *types.Descriptor {
	return &types.Descriptor{MediaType: d.MediaType, Digest: d.Digest.String(), Size: d.Size, Annotations: d.Annotations}
}

// kind is the one table from stage 3's pull errors to ours.
func kind(err error) error {
	for _, row := range []struct {
		is   error
		kind fault.Kind
	}{
		{pull.ErrReference, fault.InvalidArgument},
		{pull.ErrNotFound, fault.NotFound},
		{pull.ErrPlatform, fault.NotFound},
		{pull.ErrUnauthorized, fault.Denied},
		{pull.ErrUnreachable, fault.Unavailable},
		{pull.ErrRegistry, fault.Unavailable},
		{pull.ErrDigest, fault.DataLoss},
		{pull.ErrManifest, fault.InvalidArgument},
	} {
		if errors.Is(err, row.is) {
			return fault.As(row.kind, err)
		}
	}
	return err
}
