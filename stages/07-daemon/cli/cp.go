package cli

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

type cpOptions struct{ archive, followLink, quiet bool }

func newCp(app *App) *cobra.Command {
	var o cpOptions
	cmd := &cobra.Command{
		Use:   "cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tslipway cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
		Short: "Copy files/folders between a container and the local filesystem", Args: exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return runCp(cmd.Context(), app, o, args[0], args[1]) },
	}
	cmd.Flags().BoolVarP(&o.archive, "archive", "a", false, "Archive mode (copy all uid/gid information)")
	cmd.Flags().BoolVarP(&o.followLink, "follow-link", "L", false, "Always follow symbol link in SRC_PATH")
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached")
	return cmd
}

// place is one side of a copy: a path, in a container when that is named.
type place struct{ container, path string }

// parsePlace splits NAME:PATH. A path that starts with / or . is always local, so that local names may hold colons.
func parsePlace(text string) place {
	if filepath.IsAbs(text) || strings.HasPrefix(text, ".") {
		return place{path: text}
	}
	name, inside, ok := strings.Cut(text, ":")
	if !ok || name == "" {
		return place{path: text}
	}
	return place{name, inside}
}

func runCp(ctx context.Context, app *App, o cpOptions, source, dest string) error {
	from, to := parsePlace(source), parsePlace(dest)
	switch {
	case from.container != "" && to.container != "":
		return errors.New("copying between containers is not supported")
	case from.container == "" && to.container == "":
		return errors.New("must specify at least one container source")
	}
	api, err := app.connect()
	if err != nil {
		return err
	}
	if from.container != "" {
		return app.copyOut(ctx, api, o, from, to.path)
	}
	return app.copyIn(ctx, api, o, from.path, to)
}

// copyOut unpacks what the daemon sends. The archive's names start with the source's last element, which is renamed to the target's.
func (a *App) copyOut(ctx context.Context, api *client.Client, o cpOptions, from place, dest string) error {
	if o.followLink {
		if stat, err := api.ContainerStatPath(ctx, from.container, client.ContainerStatPathOptions{Path: from.path}); err == nil && stat.Stat.LinkTarget != "" {
			target := stat.Stat.LinkTarget
			if !path.IsAbs(target) {
				target = path.Join(path.Dir(from.path), target)
			}
			from.path = target
		}
	}
	got, err := api.CopyFromContainer(ctx, from.container, client.CopyFromContainerOptions{SourcePath: from.path})
	if err != nil {
		return err
	}
	defer closeAfter(got.Content)
	if dest == "-" {
		_, err := io.Copy(a.Out, got.Content)
		return err
	}
	where, err := landing(from.path, got.Stat.Mode.IsDir(), dest)
	if err != nil {
		return err
	}
	size, err := unpack(got.Content, where.dir, where.name, o.archive)
	if err != nil {
		return fmt.Errorf("copy %s:%s to %s: %w", from.container, from.path, dest, err)
	}
	a.copied(o, size, dest)
	return nil
}

// copied says what was done to a person; a script sees nothing.
func (a *App) copied(o cpOptions, size int64, where string) {
	if _, ok := terminal(a.Err); ok && !o.quiet {
		fmt.Fprintf(a.Err, "Successfully copied %s to %s\n", units.HumanSize(float64(size)), where)
	}
}

// target is where an archive lands: the directory it is unpacked in, and the name that replaces its first element ("" keeps the
// contents of a directory without it).
type target struct{ dir, name string }

// landing follows the rules of cp: an existing directory takes the source below its own name, and with `/.` its contents; a name that
// does not exist becomes the copy's name.
func landing(source string, isDir bool, dest string) (target, error) {
	contents := strings.HasSuffix(source, "/.")
	info, err := os.Stat(dest)
	switch {
	case err == nil && info.IsDir() && contents:
		return target{dir: dest}, nil
	case err == nil && info.IsDir():
		return target{dest, path.Base(path.Clean("/" + source))}, nil
	case err == nil && isDir:
		return target{}, errors.New("cannot copy directory")
	case err == nil:
		return target{filepath.Dir(dest), filepath.Base(dest)}, nil
	case !errors.Is(err, os.ErrNotExist):
		return target{}, err
	case strings.HasSuffix(dest, "/") && !isDir:
		return target{}, errors.New("no such directory")
	}
	dest, err = filepath.Abs(dest)
	if err != nil {
		return target{}, err
	}
	if _, err := os.Stat(filepath.Dir(dest)); err != nil {
		return target{}, fmt.Errorf("invalid output path: directory %q does not exist", filepath.Dir(dest))
	}
	return target{filepath.Dir(dest), filepath.Base(dest)}, nil
}

// copyIn packs a local path, or passes an archive from stdin on.
func (a *App) copyIn(ctx context.Context, api *client.Client, o cpOptions, source string, to place) error {
	options := client.CopyToContainerOptions{CopyUIDGID: o.archive}
	if source == "-" {
		options.DestinationPath, options.Content = to.path, a.In
		got, err := api.ContainerStatPath(ctx, to.container, client.ContainerStatPathOptions{Path: to.path})
		if err != nil || !got.Stat.Mode.IsDir() {
			return fmt.Errorf("destination %q must be a directory", to.container+":"+to.path)
		}
		_, err = api.CopyToContainer(ctx, to.container, options)
		return err
	}
	look := os.Lstat
	if o.followLink || strings.HasSuffix(source, "/.") || strings.HasSuffix(source, "/") {
		look = os.Stat
	}
	info, err := look(source)
	if err != nil {
		return err
	}
	where, err := remoteLanding(ctx, api, source, info.IsDir(), to)
	if err != nil {
		return err
	}
	reader, writer := io.Pipe()
	var size int64
	go func() {
		n, err := pack(writer, source, where.name, look)
		size = n
		writer.CloseWithError(err)
	}()
	options.DestinationPath, options.Content = where.dir, reader
	_, err = api.CopyToContainer(ctx, to.container, options)
	closeAfter(reader)
	if err != nil {
		return err
	}
	a.copied(o, size, to.container+":"+to.path)
	return nil
}

// remoteLanding is landing with the daemon's eyes.
func remoteLanding(ctx context.Context, api *client.Client, source string, isDir bool, to place) (target, error) {
	contents := strings.HasSuffix(source, "/.")
	dest := path.Clean("/" + to.path)
	got, err := api.ContainerStatPath(ctx, to.container, client.ContainerStatPathOptions{Path: dest})
	if err == nil && got.Stat.LinkTarget != "" {
		link := got.Stat.LinkTarget
		if !path.IsAbs(link) {
			link = path.Join(path.Dir(dest), link)
		}
		dest = link
		got, err = api.ContainerStatPath(ctx, to.container, client.ContainerStatPathOptions{Path: dest})
	}
	if err != nil {
		if strings.HasSuffix(to.path, "/") && !isDir {
			return target{}, errors.New("no such directory")
		}
		return target{path.Dir(dest), path.Base(dest)}, nil // the daemon tells whether the container or the directory is missing
	}
	switch {
	case got.Stat.Mode.IsDir() && contents:
		return target{dir: dest}, nil
	case got.Stat.Mode.IsDir():
		return target{dest, filepath.Base(filepath.Clean(source))}, nil
	case isDir:
		return target{}, errors.New("cannot copy directory")
	}
	return target{path.Dir(dest), path.Base(dest)}, nil
}

// pack writes a tar of source whose first element is called name; without a name the contents of a directory stand at the top.
func pack(out io.Writer, source, name string, look func(string) (os.FileInfo, error)) (int64, error) {
	w := tar.NewWriter(out)
	var size int64
	err := walk(source, look, func(file string, info os.FileInfo) error {
		below, err := filepath.Rel(filepath.Clean(source), file)
		if err != nil {
			return err
		}
		inside := path.Join(name, filepath.ToSlash(below))
		if inside == "." {
			return nil
		}
		n, err := packFile(w, file, inside, info)
		size += n
		return err
	})
	return size, errors.Join(err, w.Close())
}

// walk visits a tree; only its root is looked at through look, links below are links.
func walk(root string, look func(string) (os.FileInfo, error), visit func(string, os.FileInfo) error) error {
	root = filepath.Clean(root)
	info, err := look(root)
	if err != nil {
		return err
	}
	if err := visit(root, info); err != nil || !info.IsDir() {
		return err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := walk(filepath.Join(root, entry.Name()), os.Lstat, visit); err != nil {
			return err
		}
	}
	return nil
}

func packFile(w *tar.Writer, file, name string, info os.FileInfo) (int64, error) {
	link := ""
	if info.Mode()&os.ModeSymlink != 0 {
		var err error
		if link, err = os.Readlink(file); err != nil {
			return 0, err
		}
	}
	if info.Mode()&os.ModeSocket != 0 {
		return 0, nil // a socket is no file, as in tar(1)
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return 0, err
	}
	header.Name = name
	if info.IsDir() {
		header.Name += "/"
	}
	if err := w.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return 0, err
	}
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer closeAfter(f)
	return io.Copy(w, f)
}
