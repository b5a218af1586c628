// Package images shows the manager's images as Docker's: names and tags, an id, a configuration, layers.
//
// The id is the digest of the image's configuration, as in the classic engine: two tags of one image share it.
// Nothing is kept here but parsed documents, which are named by their own digest and so are never out of date.
package images

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/manager"
)

const (
	maxDocument = 8 << 20 // bytes of a manifest or a configuration; more is an attack

	danglingPrefix = "slipway-dangling@" // name of an image whose last tag was moved away
)

// Image is one image with all its names.
type Image struct {
	ID      digest.Digest // of the configuration
	Target  ocispec.Descriptor
	Names   []string // canonical names in the manager's store
	Config  dockerspec.DockerOCIImage
	Layers  []ocispec.Descriptor
	ChainID digest.Digest
	Updated time.Time // when a name was last given to it
}

// Store answers questions about images through the manager's services.
type Store struct {
	c        *manager.Client
	platform ocispec.Platform

	mu     sync.Mutex // guards parsed and sizes
	parsed map[digest.Digest]*Image
	sizes  map[digest.Digest]int64 // of snapshots, by chain id
}

// New makes a store for the platform of this program.
func New(c *manager.Client) *Store {
	return &Store{
		c: c, platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		parsed: map[digest.Digest]*Image{}, sizes: map[digest.Digest]int64{},
	}
}

// List returns all images, newest first. One that cannot be read (another platform's, or damaged) is left out.
func (s *Store) List(ctx context.Context) ([]Image, error) {
	resp, err := s.c.Images.List(ctx, &imagesapi.ListImagesRequest{})
	if err != nil {
		return nil, err
	}
	byID := map[digest.Digest]*Image{}
	for _, record := range resp.GetImages() {
		img, err := s.load(ctx, descriptor(record.GetTarget()))
		if err != nil {
			continue
		}
		at := record.GetUpdatedAt().AsTime()
		if have := byID[img.ID]; have != nil {
			have.Names = append(have.Names, record.GetName())
			have.Updated = later(have.Updated, at)
			continue
		}
		img.Names, img.Updated = []string{record.GetName()}, at
		byID[img.ID] = &img
	}
	var all []Image
	for _, img := range byID {
		slices.Sort(img.Names)
		all = append(all, *img)
	}
	slices.SortFunc(all, func(a, b Image) int {
		return cmp.Or(b.created().Compare(a.created()), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

func (i Image) created() time.Time {
	if i.Config.Created == nil {
		return time.Time{}
	}
	return *i.Config.Created
}

// Created is the time in the configuration; zero when it has none.
func (i Image) Created() time.Time { return i.created() }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Get finds an image by name[:tag], name@digest, id, or an unambiguous beginning of an id.
func (s *Store) Get(ctx context.Context, ref string) (Image, error) {
	notFound := fault.NotFound("No such image: %s", displayRef(ref))
	all, err := s.List(ctx)
	if err != nil {
		return Image{}, err
	}
	if named, err := reference.ParseNormalizedNamed(ref); err == nil {
		for _, img := range all {
			if img.hasName(named) {
				return img, nil
			}
		}
	}
	prefix := strings.TrimPrefix(ref, "sha256:")
	if prefix == "" || strings.Trim(prefix, "0123456789abcdef") != "" {
		return Image{}, notFound
	}
	var found []Image
	for _, img := range all {
		if strings.HasPrefix(img.ID.Encoded(), prefix) || strings.HasPrefix(img.Target.Digest.Encoded(), prefix) {
			found = append(found, img)
		}
	}
	switch len(found) {
	case 0:
		return Image{}, notFound
	case 1:
		return found[0], nil
	}
	return Image{}, fault.Invalid("image id %s is ambiguous: %d images begin with it", ref, len(found))
}

// displayRef is how Docker names a missing image: with its tag.
func displayRef(ref string) string {
	if named, err := reference.ParseNormalizedNamed(ref); err == nil {
		return reference.FamiliarString(reference.TagNameOnly(named))
	}
	return ref
}

func (i Image) hasName(want reference.Named) bool {
	canonical, byDigest := want.(reference.Canonical)
	want = reference.TagNameOnly(want)
	for _, name := range i.Names {
		if name == want.String() {
			return true
		}
		if byDigest && canonical.Digest() == i.Target.Digest {
			if have, err := reference.ParseNormalizedNamed(name); err == nil && have.Name() == want.Name() {
				return true
			}
		}
	}
	return false
}

// Tags are the short names that people use, without the dangling one.
func (i Image) Tags() []string {
	tags := []string{}
	for _, name := range i.Names {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			continue
		}
		if _, ok := named.(reference.Tagged); ok {
			tags = append(tags, reference.FamiliarString(named))
		}
	}
	return tags
}

// Digests are name@digest, one for each repository.
func (i Image) Digests() []string {
	out := []string{}
	for _, name := range i.Names {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil || strings.HasPrefix(name, danglingPrefix) {
			continue
		}
		d := reference.FamiliarName(named) + "@" + i.Target.Digest.String()
		if !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// load reads and checks the documents below a target.
func (s *Store) load(ctx context.Context, target ocispec.Descriptor) (Image, error) {
	s.mu.Lock()
	have := s.parsed[target.Digest]
	s.mu.Unlock()
	if have != nil {
		return *have, nil
	}
	manifest, err := s.manifest(ctx, target)
	if err != nil {
		return Image{}, err
	}
	img := Image{ID: manifest.Config.Digest, Target: target, Layers: manifest.Layers}
	if err := s.document(ctx, manifest.Config, &img.Config); err != nil {
		return Image{}, err
	}
	if len(img.Config.RootFS.DiffIDs) != len(manifest.Layers) {
		return Image{}, fmt.Errorf("image %s: %d layers, %d diff ids", target.Digest, len(manifest.Layers), len(img.Config.RootFS.DiffIDs))
	}
	img.ChainID = chainID(img.Config.RootFS.DiffIDs)
	s.mu.Lock()
	s.parsed[target.Digest] = &img
	s.mu.Unlock()
	return img, nil
}

// chainID names a stack of layers (image-spec, config.md): each name covers all below it.
func chainID(diffIDs []digest.Digest) digest.Digest {
	var chain digest.Digest
	for _, d := range diffIDs {
		if chain == "" {
			chain = d
			continue
		}
		chain = digest.FromString(chain.String() + " " + d.String())
	}
	return chain
}

// manifest finds the manifest of our platform, directly or through an index.
func (s *Store) manifest(ctx context.Context, target ocispec.Descriptor) (ocispec.Manifest, error) {
	for range 4 { // an index in an index in an index is enough
		var doc struct {
			ocispec.Manifest
			Manifests []ocispec.Descriptor `json:"manifests"`
		}
		if err := s.document(ctx, target, &doc); err != nil {
			return ocispec.Manifest{}, err
		}
		isIndex, isManifest := len(doc.Manifests) > 0, doc.Config.Digest != ""
		if isIndex && isManifest { // CVE-2021-41190
			return ocispec.Manifest{}, fmt.Errorf("%s is a manifest and an index at once", target.Digest)
		}
		if !isIndex {
			return doc.Manifest, nil
		}
		next, ok := pick(doc.Manifests, s.platform)
		if !ok {
			return ocispec.Manifest{}, fault.NotFound("no matching manifest for %s/%s in the manifest list entries", s.platform.OS, s.platform.Architecture)
		}
		target = next
	}
	return ocispec.Manifest{}, fmt.Errorf("%s: too many indexes inside each other", target.Digest)
}

func pick(list []ocispec.Descriptor, want ocispec.Platform) (ocispec.Descriptor, bool) {
	for _, d := range list {
		if d.Platform != nil && d.Platform.OS == want.OS && d.Platform.Architecture == want.Architecture {
			return d, true
		}
	}
	for _, d := range list {
		if d.Platform == nil {
			return d, true
		}
	}
	return ocispec.Descriptor{}, false
}

// document reads a blob, checks it against its digest and decodes it.
func (s *Store) document(ctx context.Context, d ocispec.Descriptor, into any) error {
	data, err := s.blob(ctx, d)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", d.Digest, err)
	}
	return nil
}

func (s *Store) blob(ctx context.Context, d ocispec.Descriptor) ([]byte, error) {
	if err := d.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("digest %q: %w", d.Digest, err)
	}
	if d.Size > maxDocument {
		return nil, fmt.Errorf("%s has %d bytes, more than a document may", d.Digest, d.Size)
	}
	read, err := s.c.Content.Read(ctx, &content.ReadContentRequest{Digest: d.Digest.String()})
	if err != nil {
		return nil, err
	}
	var data []byte
	for {
		resp, err := read.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, errgrpc.ToNative(err)
		}
		data = append(data, resp.GetData()...)
		if len(data) > maxDocument {
			return nil, fmt.Errorf("%s is larger than a document may be", d.Digest)
		}
	}
	if d.Digest.Algorithm().FromBytes(data) != d.Digest {
		return nil, fmt.Errorf("%s: the content does not match its digest", d.Digest)
	}
	return data, nil
}

// Size is the unpacked size of all layers, as far as they are unpacked.
func (s *Store) Size(ctx context.Context, img Image) int64 {
	var total int64
	for _, size := range s.LayerSizes(ctx, img) {
		total += size
	}
	return total
}

// LayerSizes are the unpacked sizes of the layers, lowest first.
func (s *Store) LayerSizes(ctx context.Context, img Image) []int64 {
	sizes := make([]int64, len(img.Config.RootFS.DiffIDs))
	for i := range sizes {
		chain := chainID(img.Config.RootFS.DiffIDs[:i+1])
		s.mu.Lock()
		size, ok := s.sizes[chain]
		s.mu.Unlock()
		if !ok {
			var err error
			if size, err = s.c.SnapshotSize(ctx, chain.String()); err != nil {
				continue
			}
			s.mu.Lock()
			s.sizes[chain] = size
			s.mu.Unlock()
		}
		sizes[i] = size
	}
	return sizes
}

func descriptor(d *types.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{
		MediaType: d.GetMediaType(), Digest: digest.Digest(d.GetDigest()), Size: d.GetSize(), Annotations: d.GetAnnotations(),
	}
}

func apiDescriptor(d ocispec.Descriptor) *types.Descriptor {
	return &types.Descriptor{MediaType: d.MediaType, Digest: d.Digest.String(), Size: d.Size, Annotations: d.Annotations}
}

func isNotFound(err error) bool { return errdefs.IsNotFound(err) }
