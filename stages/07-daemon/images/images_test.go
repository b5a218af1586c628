package images

import (
	"testing"

	transfer "github.com/containerd/containerd/api/types/transfer"

	"github.com/containerd/containerd/api/types"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

func anImage(names ...string) Image {
	return Image{ID: digest.FromString("config"), Target: ocispec.Descriptor{Digest: digest.FromString("manifest")}, Names: names}
}

func TestNames(t *testing.T) {
	i := anImage("docker.io/library/busybox:latest", "localhost:5000/x/y:1", danglingPrefix+digest.FromString("manifest").String())
	require.Equal(t, []string{"busybox:latest", "localhost:5000/x/y:1"}, i.Tags())
	d := digest.FromString("manifest").String()
	require.Equal(t, []string{"busybox@" + d, "localhost:5000/x/y@" + d}, i.Digests())
	for ref, want := range map[string]bool{
		"busybox": true, "busybox:latest": true, "docker.io/library/busybox": true, "busybox:1": false, "busybox@" + d: true,
		"other@" + d: false, "localhost:5000/x/y:1": true,
	} {
		named, err := Parse(ref)
		require.NoError(t, err)
		require.Equal(t, want, i.hasName(named), ref)
	}
	for _, ref := range []string{"UPPER", "a b", "", "x:"} {
		_, err := Parse(ref)
		require.Error(t, err, ref)
	}
}

func TestPlanDelete(t *testing.T) {
	one, two := anImage("docker.io/library/a:1"), anImage("docker.io/library/a:1", "docker.io/library/b:1")
	id := one.ID.Encoded()
	user := "0123456789abcdef"
	for name, row := range map[string]struct {
		ask    DeleteRequest
		untag  []string
		delete bool
		err    string
	}{
		"the last name":         {DeleteRequest{Ref: "a:1", Image: one}, one.Names, true, ""},
		"one of two names":      {DeleteRequest{Ref: "b:1", Image: two, Running: []string{user}}, two.Names[1:], false, ""},
		"by id":                 {DeleteRequest{Ref: id[:12], Image: one}, one.Names, true, ""},
		"by id, two names":      {DeleteRequest{Ref: id, Image: two}, nil, false, "image is referenced in multiple repositories"},
		"by id, forced":         {DeleteRequest{Ref: id, Image: two, Force: true}, two.Names, true, ""},
		"used by a stopped one": {DeleteRequest{Ref: "a:1", Image: one, Stopped: []string{user}}, nil, false, `unable to remove repository reference "a:1" (must force) - container 0123456789ab is using its referenced image`},
		"used, forced":          {DeleteRequest{Ref: "a:1", Image: one, Stopped: []string{user}, Force: true}, one.Names, false, ""},
		"runs, by id":           {DeleteRequest{Ref: id, Image: one, Running: []string{user}, Force: true}, nil, false, "(cannot be forced) - image is being used by running container 0123456789ab"},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := PlanDelete(row.ask)
			if row.err != "" {
				require.ErrorContains(t, err, row.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.untag, plan.Untag)
			require.Equal(t, row.delete, plan.Delete)
		})
	}
}

func TestProgressLines(t *testing.T) {
	name, err := Parse("busybox")
	require.NoError(t, err)
	var lines []string
	p := &pull{req: PullRequest{Name: name}, layers: map[string]string{}, begun: map[string]bool{}, report: func(m jsonstream.Message) {
		lines = append(lines, m.ID+" "+m.Status)
	}}
	d := digest.FromString("x").String()
	for _, event := range []string{"resolving", "downloading", "downloading", "download complete", "extracting", "pull complete", "pull complete"} {
		p.step(&transfer.Progress{Event: event, Name: "layer-" + d, Desc: &types.Descriptor{Digest: d}})
	}
	p.step(&transfer.Progress{Event: "downloading", Name: "manifest-" + d, Desc: &types.Descriptor{Digest: d}})
	p.finish()
	id := digest.Digest(d).Encoded()[:12]
	require.Equal(t, []string{
		"latest Pulling from library/busybox", id + " Pulling fs layer", id + " Downloading", id + " Downloading",
		id + " Download complete", id + " Extracting", id + " Pull complete",
	}, lines)
}

func TestChainID(t *testing.T) {
	a, b := digest.FromString("a"), digest.FromString("b")
	require.Equal(t, a, chainID([]digest.Digest{a}))
	require.Equal(t, digest.FromString(a.String()+" "+b.String()), chainID([]digest.Digest{a, b}))
	require.Empty(t, chainID(nil))
}

func TestPickPlatform(t *testing.T) {
	want := ocispec.Platform{OS: "linux", Architecture: "arm64"}
	list := []ocispec.Descriptor{
		{Digest: "1", Platform: &ocispec.Platform{OS: "linux", Architecture: "amd64"}},
		{Digest: "2", Platform: &ocispec.Platform{OS: "linux", Architecture: "arm64"}},
	}
	got, ok := pick(list, want)
	require.True(t, ok)
	require.EqualValues(t, "2", got.Digest)
	_, ok = pick(list[:1], want)
	require.False(t, ok)
}
