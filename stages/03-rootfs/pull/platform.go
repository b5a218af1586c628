package pull

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// HostPlatform is that of this machine.
func HostPlatform() ocispec.Platform {
	return normal(ocispec.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH})
}

// ParsePlatform reads OS/ARCH[/VARIANT].
func ParsePlatform(text string) (ocispec.Platform, error) {
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.ContainsFunc(parts, func(p string) bool { return !platformWord(p) }) {
		return ocispec.Platform{}, fmt.Errorf("platform %q is not OS/ARCH[/VARIANT]", text)
	}
	p := ocispec.Platform{OS: strings.ToLower(parts[0]), Architecture: strings.ToLower(parts[1])}
	if len(parts) == 3 {
		p.Variant = strings.ToLower(parts[2])
	}
	return p, nil
}

// platformWord holds a part against what GOOS, GOARCH and variants are made of.
func platformWord(s string) bool {
	return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789_-.") == ""
}

// normal fills in what may be left out (image-spec, image-index.md, "platform").
func normal(p ocispec.Platform) ocispec.Platform {
	switch p.Architecture {
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "i386", "i686":
		p.Architecture, p.Variant = "386", ""
	case "aarch64":
		p.Architecture = "arm64"
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	}
	if len(p.Variant) == 1 && p.Variant >= "1" && p.Variant <= "9" { // arm/7
		p.Variant = "v" + p.Variant
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
	if !platformWord(strings.ReplaceAll(s, "/", "")) {
		return strconv.Quote(s) // a registry's words are not for the terminal as they are
	}
	return s
}

// rank tells how well an image for got runs where want is asked: 0 is best, -1 not at all. An ARM processor runs the code of
// those before it, and so does one of a later level of amd64.
func rank(want, got ocispec.Platform) int {
	want, got = normal(want), normal(got)
	switch {
	case want.OS != got.OS || want.Architecture != got.Architecture:
		return -1
	case want.Variant == got.Variant:
		return 0
	}
	w, g := level(want), level(got)
	if w < 0 || g < 0 || g > w {
		return -1
	}
	return w - g
}

// level orders the variants of an architecture; -1 is one that is not comparable.
func level(p ocispec.Platform) int {
	v := p.Variant
	switch {
	case v == "" && p.Architecture == "amd64":
		return 1
	case v == "" && p.Architecture == "arm64":
		return 8
	case p.Architecture != "amd64" && p.Architecture != "arm64" && p.Architecture != "arm":
		return -1
	case len(v) == 2 && v[0] == 'v' && v[1] >= '1' && v[1] <= '9':
		return int(v[1] - '0')
	}
	return -1
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
	return ocispec.Descriptor{}, fmt.Errorf("%s: %w: there is %s", platformString(want), ErrPlatform, offered(manifests))
}

// offered lists the platforms of an index for a message. Attestations, which are for unknown/unknown, are no images.
func offered(manifests []ocispec.Descriptor) string {
	var all []string
	for _, m := range manifests {
		if m.Platform != nil && m.Platform.OS != "unknown" && m.Platform.OS != "" && knownType(m.MediaType) != "" {
			all = append(all, platformString(*m.Platform))
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	switch {
	case len(all) == 0:
		return "none that says its platform"
	case len(all) > 30:
		return strings.Join(all[:30], ", ") + fmt.Sprintf(" and %d more", len(all)-30)
	}
	return strings.Join(all, ", ")
}
