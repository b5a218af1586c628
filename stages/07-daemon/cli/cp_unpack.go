package cli

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// unpack writes an archive below dir, through an os.Root: the archive comes out of a container, and its names and links are not to be
// trusted (CVE-2018-15664, CVE-2019-14271). The first element of each name is replaced by name, or left out when that is empty.
func unpack(r io.Reader, dir, name string, owners bool) (int64, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer closeAfter(root)
	reader := tar.NewReader(r)
	var size int64
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return size, err
		}
		inside := renamed(header.Name, name)
		if inside == "" {
			continue
		}
		n, err := unpackEntry(root, inside, name, header, reader)
		size += n
		if err != nil {
			return size, err
		}
		if owners {
			if err := root.Lchown(inside, header.Uid, header.Gid); err != nil {
				return size, err
			}
		}
	}
}

// renamed replaces the first element of a name in the archive.
func renamed(inArchive, name string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(inArchive, "/"), "/") // the first element may be "."
	return path.Join(name, path.Clean("/" + rest)[1:])
}

func unpackEntry(root *os.Root, inside, name string, header *tar.Header, content io.Reader) (int64, error) {
	mode := header.FileInfo().Mode().Perm()
	if parent := path.Dir(inside); parent != "." {
		if err := root.MkdirAll(parent, 0o755); err != nil {
			return 0, err
		}
	}
	if header.Typeflag != tar.TypeDir {
		if err := root.Remove(inside); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	switch header.Typeflag {
	case tar.TypeDir:
		if err := root.Mkdir(inside, mode|0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return 0, err
		}
		return 0, root.Chmod(inside, mode)
	case tar.TypeReg:
		f, err := root.OpenFile(inside, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
		if err != nil {
			return 0, err
		}
		n, err := io.Copy(f, content)
		return n, errors.Join(err, f.Chmod(mode), f.Close(), root.Chtimes(inside, header.ModTime, header.ModTime))
	case tar.TypeSymlink:
		return 0, root.Symlink(header.Linkname, inside)
	case tar.TypeLink:
		return 0, root.Link(renamed(header.Linkname, name), inside)
	}
	return 0, fmt.Errorf("%s: a file of type %q cannot be copied here", inside, header.Typeflag)
}
