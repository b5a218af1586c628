package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
)

// front is a proxy before a registry. wants may answer instead of it.
func front(t *testing.T, host string, wants func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	inner := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !wants(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(web.Close)
	return strings.TrimPrefix(web.URL, "http://")
}

// A pull that is killed in the middle is continued by the next from where the disk ends.
func TestKilledPullIsResumed(t *testing.T) {
	host := serve(t)
	noise := make([]byte, 3<<20) // more than what is kept in memory before it is written
	_, err := rand.Read(noise)
	require.NoError(t, err)
	blob := []byte(tarOf(file{"noise", string(noise), '0'}))
	img, err := mutate.AppendLayers(empty.Image, static.NewLayer(blob, types.OCIUncompressedLayer))
	require.NoError(t, err)
	tag, err := name.NewTag(host + "/big:1")
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag, img))

	var killed atomic.Bool
	ranges := make(chan string, 10)
	half := make(chan struct{}, 1)
	proxy := front(t, host, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, digest.FromBytes(blob).String()) {
			return false
		}
		ranges <- r.Header.Get("Range")
		if killed.Load() {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(blob))
			return true
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(blob)))
		_, _ = w.Write(blob[:len(blob)/2])
		w.(http.Flusher).Flush()
		half <- struct{}{}
		<-r.Context().Done()
		return true
	})

	c := cli{t, t.TempDir()}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "--root", c.root, "pull", "--no-unpack", proxy+"/big:1")
	cmd.Env = append(os.Environ(), beRootfs+"=1")
	require.NoError(t, cmd.Start())
	<-half
	data := filepath.Join(c.root, "content/ingest/*/data")
	require.Eventually(t, func() bool {
		found, _ := filepath.Glob(data)
		for _, f := range found {
			if fi, err := os.Stat(f); err == nil && fi.Size() >= 1<<20 {
				return true
			}
		}
		return false
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	killed.Store(true)

	c.must("pull", "--no-unpack", proxy+"/big:1")
	require.Empty(t, <-ranges)
	var from int
	_, err = fmt.Sscanf(<-ranges, "bytes=%d-", &from)
	require.NoError(t, err)
	require.GreaterOrEqual(t, from, 1<<20)
	left, err := filepath.Glob(filepath.Join(c.root, "content/ingest/*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// Who we are is told by Docker's config.json: in itself, or by a helper that it names.
func TestCredentials(t *testing.T) {
	inner := serve(t)
	host := front(t, inner, func(w http.ResponseWriter, r *http.Request) bool {
		if user, pass, ok := r.BasicAuth(); ok && user == "me" && pass == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	bin := t.TempDir()
	helper := fmt.Sprintf(`#!/bin/sh
read host
[ "$host" = %s ] || { echo "credentials not found in native keychain"; exit 1; }
echo '{"Username":"me","Secret":"secret"}'
`, host)
	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker-credential-slipwaytest"), []byte(helper), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	auth := base64.StdEncoding.EncodeToString([]byte("me:secret"))
	for _, tc := range []struct{ name, config, want string }{
		{"none", `{}`, "access denied"},
		{"in the file", fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, auth), ""},
		{"a helper for this host", fmt.Sprintf(`{"credHelpers":{%q:"slipwaytest"}}`, host), ""},
		{"a helper for all", `{"credsStore":"slipwaytest"}`, ""},
		{"wrong", fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, base64.StdEncoding.EncodeToString([]byte("me:no"))), "access denied"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(tc.config), 0o600))
			t.Setenv("DOCKER_CONFIG", dir)
			c := cli{t, t.TempDir()}
			c.must("import", saved(t))
			_, err := c.run("push", "box:v1", host+"/box:v1")
			if tc.want != "" {
				require.ErrorContains(t, err, tc.want)
				return
			}
			require.NoError(t, err)
			cli{t, t.TempDir()}.must("pull", "--no-unpack", host+"/box:v1")
		})
	}
}

// A mirror is asked first, for the registry that it is for, and the image keeps its name.
func TestMirrorFlag(t *testing.T) {
	host := serve(t)
	c := cli{t, t.TempDir()}
	c.must("import", saved(t))
	c.must("push", "box:v1", host+"/library/box:v1")
	for _, flag := range []string{"http://" + host, "docker.io=http://" + host} {
		other := cli{t, t.TempDir()}
		require.Contains(t, other.must("--mirror", flag, "pull", "--no-unpack", "box:v1"), "docker.io/library/box:v1@")
	}
}
