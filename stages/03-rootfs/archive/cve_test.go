package archive_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/slipway-engine/slipway/stages/03-rootfs/archive"
	"github.com/stretchr/testify/require"
)

// An archive whose index, names or number of entries fill the memory (containerd): what is read into memory has a bound.
func TestCVE_2023_25153(t *testing.T) {
	endless := func(write func(w *tar.Writer) error) io.Reader {
		r, pw := io.Pipe()
		t.Cleanup(func() { r.Close() })
		go func() {
			w := tar.NewWriter(pw)
			for {
				if err := write(w); err != nil {
					return // the import has had enough
				}
			}
		}()
		return r
	}
	tests := map[string]io.Reader{
		"index of 1 GiB": endless(func(w *tar.Writer) error {
			if err := w.WriteHeader(&tar.Header{Name: "index.json", Typeflag: tar.TypeReg, Size: 1 << 30}); err != nil {
				return err
			}
			_, err := io.CopyN(w, zero{}, 1<<30)
			return err
		}),
		"entries without end": endless(func(w *tar.Writer) error {
			return w.WriteHeader(&tar.Header{Name: "l.tar", Linkname: "x", Typeflag: tar.TypeSymlink})
		}),
		"long names": endless(func(w *tar.Writer) error {
			return w.WriteHeader(&tar.Header{Name: strings.Repeat("n", 100_000), Typeflag: tar.TypeSymlink, Linkname: "x"})
		}),
	}
	for name, r := range tests {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			_, err := archive.Import(t.Context(), r, s)
			require.ErrorIs(t, err, archive.ErrFormat)
			require.Zero(t, blobs(t, s))
		})
	}
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { return len(p), nil }

// Digests and names of an archive that are paths (containers/image, Docker): none of them reaches the file system.
func TestCVE_2024_3727(t *testing.T) {
	for _, d := range []string{"sha256:../../../../etc/passwd", "../../etc:passwd", "sha256:", "sha256:" + strings.Repeat("A", 64), "sha256:" + strings.Repeat("a", 63) + "/"} {
		s := open(t)
		index := fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":2}]}`, d)
		_, err := archive.Import(t.Context(), bytes.NewReader(pack(item{name: "index.json", body: index})), s)
		require.ErrorContains(t, err, "digest", d)
	}
}

// A manifest.json that names nothing, or whose config is not one, ends with an error and not with the process (CVE-2021-21285).
func TestCVE_2021_21285(t *testing.T) {
	for _, text := range []string{`null`, `[null]`, `[{}]`, `[{"Config":"c.json"}]`, `[{"Config":"","Layers":[""]}]`, `{}`} {
		s := open(t)
		images, err := archive.Import(t.Context(), bytes.NewReader(pack(item{name: "c.json", body: "[]"}, item{name: "manifest.json", body: text})), s)
		require.True(t, err != nil || len(images) == 0 || text == `[{"Config":"c.json"}]`, "%s: %v", text, images)
	}
}
