package pull

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

const (
	hexA     = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	ociM     = ocispec.MediaTypeImageManifest
	ociI     = ocispec.MediaTypeImageIndex
	config   = `"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + hexA + `","size":2}`
	layers   = `"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"` + hexA + `","size":2}]`
	children = `"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + hexA + `","size":2}]`
)

// Ambiguous documents have two meanings under one digest (CVE-2021-41190); malformed digests once stopped a daemon (CVE-2026-95839).
func TestParseDocument(t *testing.T) {
	tests := map[string]struct {
		announced, body string
		want            string // a part of the error, "" for none
	}{
		"manifest":                         {ociM, `{"schemaVersion":2,` + config + `,` + layers + `}`, ""},
		"manifest that says so":            {ociM, `{"schemaVersion":2,"mediaType":"` + ociM + `",` + config + `,` + layers + `}`, ""},
		"manifest without layers":          {ociM, `{"schemaVersion":2,` + config + `}`, ""},
		"manifest that nobody announced":   {"", `{"schemaVersion":2,` + config + `,` + layers + `}`, ""},
		"docker's manifest":                {dockerManifest, `{"schemaVersion":2,"mediaType":"` + dockerManifest + `",` + config + `,` + layers + `}`, ""},
		"index":                            {ociI, `{"schemaVersion":2,` + children + `}`, ""},
		"empty index":                      {ociI, `{"schemaVersion":2,"manifests":[]}`, ""},
		"announced with parameters":        {ociI + "; charset=utf-8", `{"schemaVersion":2,` + children + `}`, ""},
		"both (CVE-2021-41190)":            {ociM, `{` + config + `,` + layers + `,` + children + `}`, "at once"},
		"both in other case":               {ociM, `{` + config + `,` + strings.ToUpper(children[:11]) + children[11:] + `}`, "at once"},
		"announced otherwise":              {ociI, `{"mediaType":"` + ociM + `",` + config + `}`, "calls itself"},
		"OCI announced, Docker inside":     {ociM, `{"mediaType":"` + dockerManifest + `",` + config + `}`, "calls itself"},
		"calls itself an index, is none":   {"", `{"mediaType":"` + ociI + `",` + config + `}`, "content"},
		"announced as an index, is none":   {ociI, `{` + config + `}`, "content"},
		"announced as a manifest, is none": {ociM, `{` + children + `}`, "content"},
		"calls itself something else":      {ociM, `{"mediaType":"text/plain",` + config + `}`, "neither"},
		"nothing":                          {"", `{}`, "no config"},
		"null":                             {ociM, `null`, "no config"},
		"schema 1":                         {ociM, `{"schemaVersion":1,"fsLayers":[]}`, "schema 1"},
		"no JSON":                          {ociM, `{`, "unexpected end"},
		"a list":                           {ociM, `[]`, "cannot unmarshal"},
		"malformed child (CVE-2026-95839)": {ociI, `{"manifests":[{"digest":"sha256:x"}]}`, "digest"},
		"path as digest (CVE-2024-3727)":   {ociM, `{"config":{"digest":"../../etc/passwd"}}`, "digest"},
		"unknown algorithm":                {ociM, `{"config":{"digest":"md5:` + strings.Repeat("a", 32) + `"}}`, "digest"},
		"negative size":                    {ociM, `{` + strings.Replace(config, `"size":2`, `"size":-2`, 1) + `}`, "bytes"},
		"huge config":                      {ociM, `{` + strings.Replace(config, `"size":2`, `"size":99999999999`, 1) + `}`, "bytes"},
		"artifact":                         {ociM, `{` + strings.Replace(config, "image.config", "other.thing", 1) + `}`, "artifact"},
		"foreign layer":                    {ociM, `{` + config + `,` + strings.Replace(layers, "application/vnd.oci.image.layer.v1.tar", "application/vnd.docker.image.rootfs.foreign.diff.tar", 1) + `}`, ""},
		"layer of an unknown type":         {ociM, `{` + config + `,` + strings.Replace(layers, "image.layer", "other", 1) + `}`, "layer"},
		"too many layers":                  {ociM, `{` + config + `,"layers":[` + strings.Repeat(layers[10:len(layers)-1]+",", 500) + layers[10:], "501 layers"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			body := tt.body
			if name == "too many layers" {
				body += "}"
			}
			d, err := parseDocument(tt.announced, []byte(body))
			if tt.want != "" {
				require.ErrorIs(t, err, ErrManifest)
				require.ErrorContains(t, err, tt.want)
				return
			}
			require.NoError(t, err)
			require.NotEmpty(t, d.MediaType)
		})
	}
}

func TestParseConfig(t *testing.T) {
	for name, text := range map[string]string{
		"fewer diff ids":    `{"rootfs":{"diff_ids":[]}}`,
		"malformed diff id": `{"rootfs":{"diff_ids":["x"]}}`,
		"no JSON":           `{`,
		"null":              `null`,
	} {
		_, _, err := parseConfig([]byte(text), 1)
		require.ErrorIs(t, err, ErrManifest, name)
	}
}

// The example of image-spec, config.md#layer-chainid, in numbers.
func TestChainIDs(t *testing.T) {
	a, b, c := digest.FromString("a"), digest.FromString("b"), digest.FromString("c")
	ab := digest.FromString(fmt.Sprintf("%s %s", a, b))
	require.Equal(t, []digest.Digest{a, ab, digest.FromString(fmt.Sprintf("%s %s", ab, c))}, ChainIDs([]digest.Digest{a, b, c}))
	require.Empty(t, ChainIDs(nil))
}

func TestParseReference(t *testing.T) {
	for in, want := range map[string]string{
		"alpine": "docker.io/library/alpine:latest", "me/app:v1": "docker.io/me/app:v1", "localhost/a": "localhost/a:latest",
		"localhost:5000/a:b": "localhost:5000/a:b", "a:v1@" + hexA: "docker.io/library/a@" + hexA,
	} {
		got, err := ParseReference(in)
		require.NoError(t, err)
		require.Equal(t, want, got.String())
	}
}

// No bytes from a registry make the parsers panic, and what they let through is safe to use.
func FuzzDocument(f *testing.F) {
	for _, body := range []string{`{` + config + `,` + layers + `}`, `{` + children + `}`, `{"manifests":[{"digest":null,"platform":null}]}`, `null`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		d, err := parseDocument("", []byte(body))
		if err != nil {
			return
		}
		_, _ = choose(d.Manifests, HostPlatform())
		for _, desc := range append(d.Manifests, d.Layers...) {
			require.NoError(t, desc.Digest.Validate())
			require.GreaterOrEqual(t, desc.Size, int64(0))
			_ = shortID(desc.Digest)
		}
		require.True(t, d.isIndex() || d.Config != nil)
		_, err = json.Marshal(d)
		require.NoError(t, err)
	})
}

// The same for the config, and the platforms that it and an index tell.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{
		`{"os":"linux","architecture":"arm","variant":"v7","rootfs":{"type":"layers","diff_ids":["` + hexA + `"]}}`, `{"rootfs":{"diff_ids":["x"]}}`, `{"rootfs":null}`, `null`,
	} {
		f.Add(text, "linux/arm/v6", 1)
	}
	f.Fuzz(func(t *testing.T, text, asked string, layers int) {
		ids, platform, err := parseConfig([]byte(text), layers)
		if err == nil {
			require.Len(t, ids, layers)
			require.Len(t, ChainIDs(ids), layers)
		}
		want, err := ParsePlatform(asked)
		if err != nil {
			return
		}
		require.Zero(t, rank(want, want), "everything runs where it was made for")
		_ = rank(want, platform)
		again, err := ParsePlatform(platformString(want))
		require.NoError(t, err)
		require.Equal(t, want, again)
	})
}
