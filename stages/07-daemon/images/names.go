package images

import (
	"context"
	"strings"

	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

// Parse turns what a user wrote into a full name with a tag or a digest.
func Parse(ref string) (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return nil, fault.Invalid("invalid reference format: %q: %w", ref, err)
	}
	return reference.TagNameOnly(named), nil
}

// Join makes one reference of the repository and the tag (or digest) of a request.
func Join(repo, tag string) (reference.Named, error) {
	switch {
	case tag == "":
		return Parse(repo)
	case strings.Contains(tag, ":"):
		return Parse(repo + "@" + tag)
	}
	return Parse(repo + ":" + tag)
}

// Tag gives an image one more name. An image that loses its last name by that stays, as a dangling one.
func (s *Store) Tag(ctx context.Context, img Image, name reference.Named) error {
	if _, ok := name.(reference.Canonical); ok {
		return fault.Invalid("refusing to create a tag with a digest reference")
	}
	return s.setName(ctx, name.String(), img)
}

func (s *Store) setName(ctx context.Context, name string, img Image) error {
	before, err := s.c.Images.Get(ctx, &imagesapi.GetImageRequest{Name: name})
	if err != nil && !isNotFound(err) {
		return err
	}
	record := &imagesapi.Image{Name: name, Target: apiDescriptor(img.Target)}
	if err != nil {
		_, err = s.c.Images.Create(ctx, &imagesapi.CreateImageRequest{Image: record})
		return err
	}
	old := before.GetImage().GetTarget()
	if old.GetDigest() == img.Target.Digest.String() {
		return nil
	}
	if err := s.keepDangling(ctx, name, old.GetDigest()); err != nil {
		return err
	}
	_, err = s.c.Images.Update(ctx, &imagesapi.UpdateImageRequest{Image: record})
	return err
}

// keepDangling gives the image that is about to lose its name a nameless one, unless it has others.
func (s *Store) keepDangling(ctx context.Context, losing, target string) error {
	resp, err := s.c.Images.List(ctx, &imagesapi.ListImagesRequest{})
	if err != nil {
		return err
	}
	var lost *imagesapi.Image
	for _, other := range resp.GetImages() {
		switch {
		case other.GetName() == losing:
			lost = other
		case other.GetTarget().GetDigest() == target:
			return nil
		}
	}
	if lost == nil {
		return nil
	}
	_, err = s.c.Images.Create(ctx, &imagesapi.CreateImageRequest{
		Image: &imagesapi.Image{Name: danglingPrefix + target, Target: lost.GetTarget()},
	})
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// Untag removes one name. With gone, the image goes with its last name, and the manager collects its pieces at once;
// without, an image that loses its last name stays as a nameless one (containers are made of it).
func (s *Store) Untag(ctx context.Context, name string, gone bool) error {
	if target, err := s.target(ctx, name); err == nil && !gone {
		if err := s.keepDangling(ctx, name, target); err != nil {
			return err
		}
	}
	_, err := s.c.Images.Delete(ctx, &imagesapi.DeleteImageRequest{Name: name, Sync: gone})
	if isNotFound(err) {
		return nil
	}
	return err
}
