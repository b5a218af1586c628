//go:build interop

package interop

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// images are the references in the registry.
type images struct {
	debian  string // a real Debian root file system in three layers, the third with whiteouts
	redis   string // the same and redis-server of Debian's package
	busybox string // one static program, as an OCI image
}

func (i images) String() string { return strings.Join([]string{i.debian, i.redis, i.busybox}, ", ") }

// pushImages pushes the three images, whose first layers the script has made.
func pushImages(dir string) (images, error) {
	var base, redis, box layer
	for name, l := range map[string]*layer{"debian": &base, "redis": &redis, "busybox": &box} {
		packed, err := os.ReadFile(filepath.Join(dir, "layers", name+".tar.gz"))
		if err != nil {
			return images{}, err
		}
		if *l, err = packedLayer(packed); err != nil {
			return images{}, fmt.Errorf("layer %s: %w", name, err)
		}
	}
	path := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	debian := []layer{base, changes(), whiteouts()}
	to := registry{"http://" + registryAddr}
	i := images{registryAddr + "/debian:bookworm", registryAddr + "/redis:7", registryAddr + "/library/busybox:1.35"}
	if err := to.push("debian", "bookworm", docker2, runConfig{Env: path, Cmd: []string{"bash"}}, debian); err != nil {
		return i, err
	}
	server := runConfig{
		Env: append(path, "IMAGE_SAYS=hello"), Cmd: []string{"redis-server", "--protected-mode", "no", "--save", ""},
		ExposedPorts: map[string]struct{}{"6379/tcp": {}}, WorkingDir: "/srv", Labels: map[string]string{"role": "cache"},
	}
	if err := to.push("redis", "7", docker2, server, append(debian[:3:3], redis)); err != nil {
		return i, err
	}
	return i, to.push("library/busybox", "1.35", oci1, runConfig{Env: path, Cmd: []string{"sh"}}, []layer{box})
}

// layer is a compressed tar file with its two digests.
type layer struct {
	packed []byte
	digest string // of the compressed bytes: its name in a registry
	diffID string // of the tar file: its name in the image's config
}

func packedLayer(packed []byte) (layer, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return layer{}, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, z); err != nil {
		return layer{}, err
	}
	return layer{packed, digest(packed), fmt.Sprintf("sha256:%x", h.Sum(nil))}, nil
}

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// entry is one member of a layer that a test writes itself.
type entry struct {
	tar.Header
	text string
}

func file(name, text string, mode int64) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(text))}, text}
}

func folder(name string) entry {
	return entry{tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755}, ""}
}

func link(kind byte, name, to string) entry {
	return entry{tar.Header{Typeflag: kind, Name: name, Linkname: to, Mode: 0o644}, ""}
}

// newLayer packs entries. What cannot be packed is a mistake in the test.
func newLayer(entries ...entry) layer {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := e.Header
		h.ModTime = time.Unix(1_700_000_000, 0)
		h.Format = tar.FormatPAX
		check(w.WriteHeader(&h))
		_, err := io.WriteString(w, e.text)
		check(err)
	}
	check(w.Close())
	check(z.Close())
	l, err := packedLayer(b.Bytes())
	check(err)
	return l
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// changes is the second layer: a directory with three files, a hard link, a set-uid program, an owner, a replaced file.
func changes() layer {
	owned := file("srv/data/owned", "owned\n", 0o640)
	owned.Uid, owned.Gid = 1000, 1000
	return newLayer(
		folder("srv/data"), file("srv/data/a", "a\n", 0o644), file("srv/data/b", "b\n", 0o644), owned,
		link(tar.TypeLink, "srv/data/b-again", "srv/data/b"),
		file("srv/data/setuid", "#!/bin/sh\n", 0o4755),
		folder("srv/opaque"), file("srv/opaque/old", "old\n", 0o644),
		file("etc/motd", "second layer\n", 0o644),
	)
}

// whiteouts is the third: one file less, one directory with other content, one directory less
// (image-spec, layer.md, "Whiteouts").
func whiteouts() layer {
	return newLayer(
		file("srv/data/.wh.a", "", 0), file("srv/opaque/.wh..wh..opq", "", 0), file("srv/opaque/new", "new\n", 0o644),
		file("usr/share/.wh.doc", "", 0),
	)
}
