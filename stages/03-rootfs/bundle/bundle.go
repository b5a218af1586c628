// Package bundle makes an image into a directory that a runtime runs, and a changed directory into an image with one more layer.
package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
)

// ErrNoBundle tells that a directory was not made by Unpack.
var ErrNoBundle = errors.New("not a bundle that was unpacked here")

// noteFile tells what a bundle was made of. Runtimes know nothing of it.
const noteFile = "slipway-image.json"

// Note is what is known of a bundle's origin.
type Note struct {
	Name     string             `json:"name"`
	Manifest ocispec.Descriptor `json:"manifest"`
}

// Rootfs is where a bundle's root file system is.
func Rootfs(dir string) string { return filepath.Join(dir, "rootfs") }

// Unpack makes the bundle dir: rootfs/, config.json for a runtime, and a note for Repack. When it fails nothing is left.
func Unpack(ctx context.Context, img pull.Image, store *content.Store, dir string, o pull.Options) (err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("bundle of %s: %w", img.Name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("bundle %s: %w", dir, err), os.RemoveAll(dir))
		}
	}()
	if err := pull.UnpackDir(ctx, img, store, Rootfs(dir), o); err != nil {
		return err
	}
	config, err := readConfig(store, img)
	if err != nil {
		return err
	}
	spec, err := Spec(config, Rootfs(dir))
	if err != nil {
		return err
	}
	note := Note{Name: img.Name, Manifest: img.Manifest}
	return errors.Join(writeJSON(filepath.Join(dir, "config.json"), spec), writeJSON(filepath.Join(dir, noteFile), note))
}

// ReadNote tells what the bundle dir was made of.
func ReadNote(dir string) (Note, error) {
	var n Note
	p, err := os.ReadFile(filepath.Join(dir, noteFile))
	if errors.Is(err, fs.ErrNotExist) {
		return n, fmt.Errorf("%s: %w: it has no %s", dir, ErrNoBundle, noteFile)
	}
	if err != nil {
		return n, err
	}
	if err := json.Unmarshal(p, &n); err != nil {
		return n, fmt.Errorf("%s: %s: %w", dir, noteFile, err)
	}
	return n, n.Manifest.Digest.Validate()
}

func readConfig(store *content.Store, img pull.Image) (config ocispec.Image, err error) {
	p, err := store.ReadAll(img.Config.Digest, maxConfig)
	if err != nil {
		return config, err
	}
	if err := json.Unmarshal(p, &config); err != nil {
		return config, fmt.Errorf("config %s: %w", img.Config.Digest, err)
	}
	return config, nil
}

const maxConfig = 8 << 20 // bytes

func writeJSON(path string, v any) error {
	p, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(p, '\n'), 0o600)
}
