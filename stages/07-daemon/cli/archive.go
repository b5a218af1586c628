package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

// newSave, newLoad and newExport move archives; they share where these come from and go to.
func newSave(app *App) *cobra.Command {
	output := ""
	cmd := &cobra.Command{
		Use: "save [OPTIONS] IMAGE [IMAGE...]", Short: "Save one or more images to a tar archive (streamed to STDOUT by default)", Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runSave(cmd.Context(), app, output, args) },
		ValidArgsFunction: app.completeImages,
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "Write to a file, instead of STDOUT")
	return cmd
}

func runSave(ctx context.Context, app *App, output string, names []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	return app.receive(output, func() (io.ReadCloser, error) { return api.ImageSave(ctx, names) })
}

func newExport(app *App) *cobra.Command {
	output := ""
	cmd := &cobra.Command{
		Use: "export [OPTIONS] CONTAINER", Short: "Export a container's filesystem as a tar archive", Args: exactArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runExport(cmd.Context(), app, output, args[0]) },
		ValidArgsFunction: app.completeAllContainers,
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "Write to a file, instead of STDOUT")
	return cmd
}

func runExport(ctx context.Context, app *App, output, name string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	return app.receive(output, func() (io.ReadCloser, error) {
		return api.ContainerExport(ctx, name, client.ContainerExportOptions{})
	})
}

// receive writes an archive to a file or stdout, but never to a terminal. A file appears only when it is whole.
func (a *App) receive(output string, open func() (io.ReadCloser, error)) error {
	if _, ok := terminal(a.Out); ok && output == "" {
		return errors.New("cowardly refusing to save to a terminal. Use the -o flag or redirect")
	}
	archive, err := open()
	if err != nil {
		return err
	}
	defer closeAfter(archive)
	if output == "" {
		_, err := io.Copy(a.Out, archive)
		return err
	}
	partial := output + ".partial"
	f, err := os.Create(partial)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, archive)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", output, err), os.Remove(partial))
	}
	return os.Rename(partial, output)
}

type loadOptions struct {
	input string
	quiet bool
}

func newLoad(app *App) *cobra.Command {
	var o loadOptions
	cmd := &cobra.Command{
		Use: "load [OPTIONS]", Short: "Load an image from a tar archive or STDIN", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLoad(cmd.Context(), app, o) },
	}
	cmd.Flags().StringVarP(&o.input, "input", "i", "", "Read from tar archive file, instead of STDIN")
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "Suppress the load output")
	return cmd
}

func runLoad(ctx context.Context, app *App, o loadOptions) error {
	in := app.In
	if o.input != "" {
		f, err := os.Open(o.input)
		if err != nil {
			return err
		}
		defer closeAfter(f)
		in = f
	} else if _, ok := terminal(app.In); ok {
		return errors.New("requested load from stdin, but stdin is empty")
	}
	api, err := app.connect()
	if err != nil {
		return err
	}
	_, shown := terminal(app.Out)
	got, err := api.ImageLoad(ctx, in, client.ImageLoadWithQuiet(o.quiet || !shown))
	if err != nil {
		return err
	}
	defer closeAfter(got)
	return app.showProgress(got, app.Out)
}
