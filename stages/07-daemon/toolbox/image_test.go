package toolbox_test

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/07-daemon/toolbox"
	"github.com/stretchr/testify/require"
)

// build compiles the toolbox once per test that needs the real program.
func build(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), toolbox.ProgramName)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "../cmd/slipway-toolbox")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

func TestImage(t *testing.T) {
	path := build(t)
	image, err := toolbox.FromFile(path)
	require.NoError(t, err)
	again, err := toolbox.FromFile(path)
	require.NoError(t, err)

	t.Run("the same program gives the same image", func(t *testing.T) {
		require.Equal(t, image.Descriptor, again.Descriptor)
		require.Equal(t, image.Manifest, again.Manifest)
	})
	t.Run("every descriptor tells the truth about its blob", func(t *testing.T) {
		for _, blob := range image.Blobs {
			data, err := io.ReadAll(blob.Open())
			require.NoError(t, err)
			require.Equal(t, blob.Descriptor.Size, int64(len(data)))
			require.Equal(t, blob.Descriptor.Digest, digest.FromBytes(data))
		}
	})
	t.Run("manifest and config point at the blobs", func(t *testing.T) {
		var manifest ocispec.Manifest
		require.NoError(t, json.Unmarshal(image.Manifest, &manifest))
		require.Equal(t, image.Blobs[0].Descriptor, manifest.Layers[0])
		require.Equal(t, image.Blobs[1].Descriptor, manifest.Config)
		var config ocispec.Image
		require.NoError(t, json.Unmarshal(image.Config, &config))
		require.Equal(t, []digest.Digest{image.Layers[0].DiffID}, config.RootFS.DiffIDs)
		require.Equal(t, []string{"sh"}, config.Config.Cmd)
		require.Equal(t, runtime.GOARCH, config.Architecture)
	})
	t.Run("the layer", func(t *testing.T) {
		found := map[string]*tar.Header{}
		reader := tar.NewReader(image.Layers[0].Open())
		for {
			header, err := reader.Next()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			found[header.Name] = header
		}
		require.Equal(t, "slipway-toolbox", found["bin/sh"].Linkname)
		require.Equal(t, int64(0o1777), found["tmp/"].Mode)
		require.Equal(t, int64(0o755), found["bin/slipway-toolbox"].Mode)
	})
	t.Run("it is small", func(t *testing.T) {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Less(t, info.Size(), int64(8<<20))
	})
}

func TestComposeRefuses(t *testing.T) {
	_, err := toolbox.Compose([]byte("#!/bin/sh\n"))
	require.ErrorContains(t, err, "the program")
	_, err = toolbox.FromFile(filepath.Join(t.TempDir(), "none"))
	require.True(t, errors.Is(err, fs.ErrNotExist), "%v", err)
	require.True(t, strings.HasPrefix(err.Error(), "compose docker.io/slipway/toolbox:latest from "), "%v", err)
}

func BenchmarkCompose(b *testing.B) {
	program, err := os.ReadFile(build(b))
	require.NoError(b, err)
	for b.Loop() {
		if _, err := toolbox.Compose(program); err != nil {
			b.Fatal(err)
		}
	}
}
