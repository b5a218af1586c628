//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
)

// mediaTypes are the names of one manifest format's parts.
type mediaTypes struct{ manifest, config, layer string }

var (
	docker2 = mediaTypes{
		"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.container.image.v1+json",
		"application/vnd.docker.image.rootfs.diff.tar.gzip",
	}
	oci1 = mediaTypes{
		"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json",
		"application/vnd.oci.image.layer.v1.tar+gzip",
	}
)

// runConfig is the part of an image's config that says how to run it.
type runConfig struct {
	Env, Cmd     []string
	ExposedPorts map[string]struct{} `json:",omitempty"`
	WorkingDir   string              `json:",omitempty"`
	Labels       map[string]string   `json:",omitempty"`
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Size      int    `json:"size"`
	Digest    string `json:"digest"`
}

// manifestOf is the config and the manifest of an image.
func manifestOf(kind mediaTypes, c runConfig, layers []layer) (config, manifest []byte) {
	diffs, list := []string{}, []descriptor{}
	history := []map[string]string{}
	for _, l := range layers {
		diffs = append(diffs, l.diffID)
		list = append(list, descriptor{kind.layer, len(l.packed), l.digest})
		history = append(history, map[string]string{"created": "2026-11-21T00:00:00Z", "created_by": "interop"})
	}
	config = asJSON(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": "2026-11-21T00:00:00Z", "config": c,
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffs}, "history": history,
	})
	return config, asJSON(map[string]any{
		"schemaVersion": 2, "mediaType": kind.manifest,
		"config": descriptor{kind.config, len(config), digest(config)}, "layers": list,
	})
}

func asJSON(v any) []byte {
	b, err := json.Marshal(v)
	check(err)
	return b
}

// registry speaks the distribution protocol as a client that pushes.
type registry struct{ base string }

func (r registry) push(name, tag string, kind mediaTypes, c runConfig, layers []layer) error {
	config, manifest := manifestOf(kind, c, layers)
	for _, blob := range append([]layer{{packed: config, digest: digest(config)}}, layers...) {
		if err := r.pushBlob(name, blob); err != nil {
			return fmt.Errorf("push %s: %w", name, err)
		}
	}
	return r.do(http.MethodPut, r.base+"/v2/"+name+"/manifests/"+tag, kind.manifest, manifest, nil)
}

func (r registry) pushBlob(name string, l layer) error {
	if r.do(http.MethodHead, r.base+"/v2/"+name+"/blobs/"+l.digest, "", nil, nil) == nil {
		return nil
	}
	var where string
	if err := r.do(http.MethodPost, r.base+"/v2/"+name+"/blobs/uploads/", "", nil, &where); err != nil {
		return err
	}
	to, err := url.Parse(where)
	if err != nil {
		return err
	}
	q := to.Query()
	q.Set("digest", l.digest)
	to.RawQuery = q.Encode()
	return r.do(http.MethodPut, to.String(), "application/octet-stream", l.packed, nil)
}

func (r registry) do(method, where, kind string, body []byte, location *string) error {
	req, err := http.NewRequest(method, where, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, where, resp.Status, text)
	}
	if location != nil {
		*location = resp.Header.Get("Location")
	}
	return nil
}
