package transfer

import (
	"cmp"
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

// pull fetches and unpacks at once, names the blobs, and at last gives the image
// its name: until then only the lease keeps what is there, and a pull that fails
// leaves nothing that the next collection does not find.
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
	into, err := p.unpackers()
	if err != nil {
		return err
	}
	img, err := p.bring(ctx, into, o)
	if err != nil {
		return err
	}
	name := p.to.GetName()
	if name == "" {
		name = img.Name
	}
	return p.space.PutImage(&imagesapi.Image{Name: name, Labels: p.to.GetLabels(), Target: descriptor(img.Target)})
}

// unpackers finds the snapshotters before anything is fetched for them.
func (p *puller) unpackers() ([]*unpacker, error) {
	var all []*unpacker
	for _, u := range p.to.GetUnpacks() {
		name := cmp.Or(u.GetSnapshotter(), store.DefaultSnapshotter)
		sn, err := p.space.Snapshots(name)
		if err != nil {
			return nil, err
		}
		all = append(all, &unpacker{Snapshots: sn, name: name})
	}
	return all, nil
}

// bring fetches, and unpacks into the first snapshotter each layer that has come
// while others are on their way; more snapshotters have their turn when all is here.
func (p *puller) bring(ctx context.Context, into []*unpacker, o pull.Options) (pull.Image, error) {
	if len(into) == 0 {
		return p.fetch(func() (pull.Image, error) { return pull.Fetch(ctx, p.from.GetReference(), p.space.Blobs, o) })
	}
	var chain string
	img, err := p.fetch(func() (img pull.Image, err error) {
		img, chain, err = pull.Pull(ctx, p.from.GetReference(), p.space.Blobs, into[0].snapshotter(), o)
		return img, err
	})
	if err != nil {
		return img, err
	}
	for i, u := range into {
		if i > 0 {
			if chain, err = pull.Unpack(ctx, img, p.space.Blobs, u.snapshotter(), o); err != nil {
				return img, kind(err)
			}
		}
		if err := p.keep(img, u.name, chain); err != nil {
			return img, err
		}
	}
	return img, nil
}

// fetch runs what brings the blobs and names them in the namespace, labelled so
// that each keeps what it refers to. What a failure left is named too: it is the
// end of the lease that lets go of it.
func (p *puller) fetch(bring func() (pull.Image, error)) (_ pull.Image, err error) {
	done := p.space.Pulling()
	defer func() { err = errors.Join(err, done()) }()
	img, err := bring()
	if err != nil && img.Target.Digest == "" {
		return img, kind(err)
	}
	return img, errors.Join(kind(err), p.name(img.Target))
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

// keep has the config keep the topmost snapshot.
func (p *puller) keep(img pull.Image, snapshotter, chain string) error {
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
