package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/distribution/reference"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/07-daemon/cli/runflags"
	"github.com/spf13/cobra"
)

type pullOptions struct {
	all, quiet bool
	platform   string
}

func newPull(app *App) *cobra.Command {
	var o pullOptions
	cmd := &cobra.Command{
		Use: "pull [OPTIONS] NAME[:TAG|@DIGEST]", Short: "Download an image from a registry", Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runPull(cmd.Context(), app, o, args[0]) },
	}
	cmd.Flags().BoolVarP(&o.all, "all-tags", "a", false, "Download all tagged images in the repository")
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "Suppress verbose output")
	cmd.Flags().StringVar(&o.platform, "platform", "", "Set platform if server is multi-platform capable")
	cmd.Flags().Bool("disable-content-trust", true, "Skip image verification")
	return cmd
}

func runPull(ctx context.Context, app *App, o pullOptions, name string) error {
	ref, err := reference.ParseNormalizedNamed(name)
	switch {
	case err != nil:
		return err
	case o.all && !reference.IsNameOnly(ref):
		return fmt.Errorf("tag can't be used with --all-tags/-a")
	case !o.all && reference.IsNameOnly(ref):
		ref = reference.TagNameOnly(ref)
		if tag, ok := ref.(reference.Tagged); ok && !o.quiet {
			app.println("Using default tag: " + tag.Tag())
		}
	}
	platform, err := runflags.ParsePlatform(o.platform)
	if err != nil {
		return err
	}
	api, err := app.connect()
	if err != nil {
		return err
	}
	if err := app.pullImage(ctx, api, ref.String(), client.ImagePullOptions{All: o.all, Platforms: platforms(platform)}, app.Out, o.quiet); err != nil {
		return err
	}
	app.println(ref.String())
	return nil
}

// pullImage pulls and shows the progress on out.
func (a *App) pullImage(ctx context.Context, api *client.Client, name string, options client.ImagePullOptions, out io.Writer, quiet bool) error {
	got, err := api.ImagePull(ctx, name, options)
	if err != nil {
		return err
	}
	defer closeAfter(got)
	if quiet {
		out = io.Discard
	}
	return a.showProgress(got, out)
}

func platforms(p *ocispec.Platform) []ocispec.Platform {
	if p == nil {
		return nil
	}
	return []ocispec.Platform{*p}
}
