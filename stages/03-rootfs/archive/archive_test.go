package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/archive"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/stretchr/testify/require"
)

// item is a file of an archive; a link when to is set.
type item struct{ name, body, to string }

func pack(items ...item) []byte {
	var p bytes.Buffer
	w := tar.NewWriter(&p)
	for _, i := range items {
		h := &tar.Header{Name: i.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(i.body))}
		if i.to != "" {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, i.to, 0
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		_, _ = io.WriteString(w, i.body)
	}
	_ = w.Close()
	return p.Bytes()
}

func text(v any) string {
	p, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(p)
}

func open(t *testing.T) *content.Store {
	t.Helper()
	s, err := content.Open(t.TempDir())
	require.NoError(t, err)
	return s
}

func blobs(t *testing.T, s *content.Store) int {
	t.Helper()
	n := 0
	require.NoError(t, s.Walk(func(content.Info) error { n++; return nil }))
	return n
}

const one, two = "layer one", "layer two"

func imageConfig(layers ...string) string {
	c := ocispec.Image{Platform: pull.HostPlatform(), RootFS: ocispec.RootFS{Type: "layers"}}
	for _, l := range layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, digest.FromString(l))
	}
	return text(c)
}

func gz(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

// layout gives the files of an OCI image layout with one image.
func layout(name string) []item {
	blob := func(s string) item { return item{name: "blobs/sha256/" + digest.FromString(s).Encoded(), body: s} }
	desc := func(t, s string) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: t, Digest: digest.FromString(s), Size: int64(len(s))}
	}
	config := imageConfig(one)
	manifest := text(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: desc(ocispec.MediaTypeImageConfig, config), Layers: []ocispec.Descriptor{desc(ocispec.MediaTypeImageLayerGzip, gz(one))},
	})
	top := desc(ocispec.MediaTypeImageManifest, manifest)
	top.Annotations = map[string]string{ocispec.AnnotationRefName: "v1", "io.containerd.image.name": name}
	index := text(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{top}})
	return []item{blob(config), blob(gz(one)), blob(manifest), {name: "oci-layout", body: `{"imageLayoutVersion":"1.0.0"}`}, {name: "index.json", body: index}}
}

func TestLayout(t *testing.T) {
	dir := t.TempDir()
	for _, i := range layout("docker.io/library/app:v1") {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, i.name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, i.name), []byte(i.body), 0o644))
	}
	file := filepath.Join(t.TempDir(), "app.tar")
	require.NoError(t, os.WriteFile(file, []byte(gz(string(pack(layout("docker.io/library/app:v1")...)))), 0o644))
	for _, path := range []string{dir, file} {
		s := open(t)
		images, err := archive.ImportPath(t.Context(), path, nil, s)
		require.NoError(t, err)
		require.Len(t, images, 1)
		require.Equal(t, "docker.io/library/app:v1", images[0].Name)
		img, err := pull.ReadImage(s, images[0].Target, nil)
		require.NoError(t, err)
		require.Equal(t, []digest.Digest{digest.FromString(one)}, img.DiffIDs)
	}
}

func TestDockerArchive(t *testing.T) {
	manifest := text([]map[string]any{{"Config": "c.json", "RepoTags": []string{"app:v1", "app:v2"}, "Layers": []string{"a/layer.tar", "b/layer.tar", "c/layer.tar"}}})
	p := pack(
		item{name: "a/layer.tar", body: one}, item{name: "a/VERSION", body: "1.0"}, item{name: "a/json", body: "{}"},
		item{name: "b/layer.tar", body: gz(two)}, item{name: "c/layer.tar", to: "../a/layer.tar"},
		item{name: "c.json", body: imageConfig(one, two, one)}, item{name: "manifest.json", body: manifest}, item{name: "repositories", body: "{}"},
	)
	s := open(t)
	images, err := archive.Import(t.Context(), bytes.NewReader(p), s)
	require.NoError(t, err)
	require.Len(t, images, 2)
	require.Equal(t, [2]string{"app:v1", "app:v2"}, [2]string{images[0].Name, images[1].Name})
	img, err := pull.ReadImage(s, images[0].Target, nil)
	require.NoError(t, err)
	require.Equal(t, img.Layers[0].Digest, img.Layers[2].Digest)
	require.Equal(t, ocispec.MediaTypeImageLayerGzip, img.Layers[1].MediaType)
	require.Equal(t, 4, blobs(t, s), "two layers, a config, a manifest")
}

func TestHostileArchivesLeaveNothing(t *testing.T) {
	good := layout("x")
	bad := func(name, body string) []item { return append([]item{good[0], {name: name, body: body}}, good[1:]...) }
	tests := map[string][]item{
		"blob that is not its name": bad("blobs/sha256/"+strings.Repeat("a", 64), "something else"),
		"name that climbs out":      bad("blobs/sha256/../../../../escape", "x"),
		"no index":                  {good[0]},
		"empty":                     {},
		"index without its blob":    {good[len(good)-1]},
		"layer that is missing":     {{name: "c.json", body: imageConfig(one)}, {name: "manifest.json", body: `[{"Config":"c.json","Layers":["../../etc/passwd"]}]`}},
		"links in a circle":         {{name: "a/layer.tar", to: "../b/layer.tar"}, {name: "b/layer.tar", to: "../a/layer.tar"}, {name: "c.json", body: imageConfig(one)}, {name: "manifest.json", body: `[{"Config":"c.json","Layers":["a/layer.tar"]}]`}},
		"manifest that is no JSON":  {{name: "manifest.json", body: "{"}},
	}
	for name, items := range tests {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			images, err := archive.Import(t.Context(), bytes.NewReader(pack(items...)), s)
			if name == "name that climbs out" { // cleaned, it is no blob at all, and ignored
				require.NoError(t, err)
				require.Len(t, images, 1)
				return
			}
			require.Error(t, err)
			require.Zero(t, blobs(t, s))
			left, err := s.Statuses()
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// Whatever the bytes are: an import that fails leaves nothing, and what one that succeeds says is there is there.
func FuzzImport(f *testing.F) {
	f.Add(pack(layout("docker.io/library/app:v1")...))
	f.Add(pack(item{name: "a/layer.tar", body: one}, item{name: "l.tar", to: "a/layer.tar"}, item{name: "c.json", body: imageConfig(one, one)},
		item{name: "manifest.json", body: `[{"Config":"c.json","RepoTags":["app:v1"],"Layers":["a/layer.tar","l.tar"]}]`}))
	f.Add([]byte(gz(string(pack(item{name: "index.json", body: "{}"})))))
	f.Fuzz(func(t *testing.T, p []byte) {
		s, err := content.Open(t.TempDir())
		require.NoError(t, err)
		images, err := archive.Import(t.Context(), bytes.NewReader(p), s)
		left, statusErr := s.Statuses()
		require.NoError(t, statusErr)
		require.Empty(t, left)
		if err != nil {
			require.Zero(t, blobs(t, s))
		}
		for _, i := range images {
			_, err := s.Info(i.Target.Digest)
			require.NoError(t, err)
			_, _ = pull.ReadImage(s, i.Target, nil)
		}
	})
}
