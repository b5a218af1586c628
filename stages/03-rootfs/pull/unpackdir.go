package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
)

// ErrNotEmpty tells that there is something where an image should go.
var ErrNotEmpty = errors.New("directory is not empty")

// UnpackDir puts all layers of an image into one plain directory, which is made, or must be empty. When it fails the
// directory is as it was before.
func UnpackDir(ctx context.Context, img Image, store *content.Store, dir string, o Options) (err error) {
	made, err := emptyDir(dir)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", img.Name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("unpack %s: %w", img.Name, err), restore(dir, made))
		}
	}()
	u := &unpacker{fetcher: newFetcher(store, o), image: img}
	for i := range img.Layers {
		if err := u.applyTo(ctx, i, target{dir: dir, options: layer.Options{Whiteouts: layer.Remove}}, &layerWork{}); err != nil {
			return u.named(i, err)
		}
		u.report(layerEvent(img.Layers[i], PullComplete, img.Layers[i].Size))
	}
	return nil
}

func emptyDir(dir string) (made bool, err error) {
	err = os.Mkdir(dir, 0o755)
	if !errors.Is(err, fs.ErrExist) {
		return err == nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if _, err := f.Readdirnames(1); !errors.Is(err, io.EOF) {
		return false, errors.Join(fmt.Errorf("%s: %w", dir, ErrNotEmpty), err)
	}
	return false, nil
}

func restore(dir string, made bool) error {
	if made {
		return os.RemoveAll(dir)
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}
