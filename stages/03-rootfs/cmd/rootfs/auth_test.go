package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/require"
)

// Whatever stands in somebody's config.json: credentials or an error, and no program outside of PATH is run for them.
func FuzzDockerConfig(f *testing.F) {
	for _, text := range []string{
		`{"auths":{"localhost:5000":{"auth":"bWU6c2VjcmV0"}}}`, `{"auths":{"https://index.docker.io/v1/":{"identitytoken":"t"}}}`, `{"credHelpers":{"localhost:5000":"x"}}`,
		`{"credsStore":"../../../bin/sh"}`, `{"auths":{"localhost:5000":{"auth":"?"}}}`, `{"auths":null,"HttpHeaders":{"X":1}}`, `[]`,
	} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	f.Setenv("DOCKER_CONFIG", dir)
	f.Setenv("PATH", f.TempDir())
	registry, err := name.NewRegistry("localhost:5000")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, p []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), p, 0o600))
		auth, err := authn.DefaultKeychain.Resolve(registry)
		if err == nil {
			_, _ = auth.Authorization()
		}
	})
}
