package pull

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// HostPlatform is that of this machine.
func HostPlatform() ocispec.Platform {
	return normal(ocispec.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH})
}

// normal fills in what may be left out (image-spec, image-index.md, "platform").
func normal(p ocispec.Platform) ocispec.Platform {
	switch p.Architecture {
	case "x86_64":
		p.Architecture = "amd64"
	case "aarch64":
		p.Architecture = "arm64"
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	}
	switch {
	case p.Architecture == "arm" && p.Variant == "":
		p.Variant = "v7"
	case p.Architecture == "arm64" && p.Variant == "v8", p.Architecture == "amd64" && p.Variant == "v1":
		p.Variant = ""
	}
	return p
}

func platformString(p ocispec.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// rank tells how well an image for got runs where want is asked: 0 is best, -1 not at all. An ARM processor runs the code of
// those before it.
func rank(want, got ocispec.Platform) int {
	want, got = normal(want), normal(got)
	switch {
	case want.OS != got.OS || want.Architecture != got.Architecture:
		return -1
	case want.Variant == got.Variant:
		return 0
	case want.Architecture != "arm" || got.Variant > want.Variant:
		return -1
	}
	return int(want.Variant[len(want.Variant)-1]) - int(got.Variant[len(got.Variant)-1])
}

// choose picks the manifest for a platform out of an index. Among equals the first wins, as everywhere.
func choose(manifests []ocispec.Descriptor, want ocispec.Platform) (ocispec.Descriptor, error) {
	var fit []ocispec.Descriptor
	for _, m := range manifests {
		if knownType(m.MediaType) != "" && m.Platform != nil && rank(want, *m.Platform) >= 0 {
			fit = append(fit, m)
		}
	}
	slices.SortStableFunc(fit, func(a, b ocispec.Descriptor) int {
		return cmp.Compare(rank(want, *a.Platform), rank(want, *b.Platform))
	})
	if len(fit) > 0 {
		return fit[0], nil
	}
	// An index of one, without a platform, as an image layout on disk often is: its config will tell.
	if len(manifests) == 1 && manifests[0].Platform == nil {
		return manifests[0], nil
	}
	return ocispec.Descriptor{}, fmt.Errorf("%s: %w", platformString(want), ErrPlatform)
}
