package toolbox

import (
	"archive/tar"
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/slipway-engine/slipway/stages/07-daemon/toolbox/applets"
)

// entry is one file of the layer.
type entry struct {
	path string
	mode int64
	kind byte
	text string // a regular file's content, a symbolic link's target
}

// entries is the whole root file system but the program, parents before children.
func entries() []entry {
	dir := func(path string, mode int64) entry { return entry{path, mode, tar.TypeDir, ""} }
	file := func(path, text string) entry { return entry{path, 0o644, tar.TypeReg, text} }
	list := []entry{
		dir("bin/", 0o755), dir("dev/", 0o755), dir("etc/", 0o755), dir("home/", 0o755), dir("mnt/", 0o755), dir("proc/", 0o555),
		dir("root/", 0o700), dir("run/", 0o755), dir("srv/", 0o755), dir("sys/", 0o555), dir("tmp/", 0o1777), dir("usr/", 0o755), dir("usr/bin/", 0o755),
		dir("var/", 0o755), dir("var/log/", 0o755), dir("var/tmp/", 0o1777),
		file("etc/group", "root:x:0:\ndaemon:x:1:\nbin:x:2:\ntty:x:5:\nwww-data:x:33:\nusers:x:100:\nuser:x:1000:\nnogroup:x:65534:\n"),
		file("etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n"),
		file("etc/nsswitch.conf", "hosts: files dns\n"),
		file("etc/os-release", "NAME=\"Slipway toolbox\"\nID=slipway-toolbox\nPRETTY_NAME=\"Slipway toolbox\"\nHOME_URL=\"https://github.com/slipway-engine/slipway\"\n"),
		file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\nbin:x:2:2:bin:/bin:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\nuser:x:1000:1000:user:/home:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
		file("etc/shells", "/bin/sh\n"),
		{"usr/bin/env", 0o777, tar.TypeSymlink, "/bin/slipway-toolbox"},
	}
	names := append(slices.Collect(maps.Keys(applets.Table())), "sh", "ash")
	slices.Sort(names)
	for _, name := range names {
		list = append(list, entry{"bin/" + name, 0o777, tar.TypeSymlink, "slipway-toolbox"})
	}
	return list
}

// layerTar writes the layer with fixed times and owners, so that it depends on nothing but the program. It is not compressed:
// that takes no time at start, and no other version of a compressor can change its digest.
func layerTar(program []byte) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(program) + 256<<10)
	w := tar.NewWriter(&out)
	for _, e := range append(entries(), entry{"bin/slipway-toolbox", 0o755, tar.TypeReg, string(program)}) {
		header := &tar.Header{Name: e.path, Mode: e.mode, Typeflag: e.kind, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if e.kind == tar.TypeSymlink {
			header.Linkname = e.text
		} else {
			header.Size = int64(len(e.text))
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if e.kind == tar.TypeReg {
			if _, err := w.Write([]byte(e.text)); err != nil {
				return nil, err
			}
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
