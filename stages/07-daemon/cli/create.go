package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/distribution/reference"
	"github.com/moby/moby/client"
	"github.com/slipway-engine/slipway/stages/07-daemon/cli/runflags"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// pullPolicy is --pull.
const (
	pullAlways  = "always"
	pullMissing = "missing"
	pullNever   = "never"
)

type createOptions struct {
	flags runflags.Flags
	pull  string
	quiet bool
}

// bind declares what run and create share.
func (o *createOptions) bind(fs *pflag.FlagSet) {
	fs.SetInterspersed(false) // everything after the image belongs to the container
	o.flags.Bind(fs)
	fs.StringVar(&o.pull, "pull", pullMissing, `Pull image before running ("always", "missing", "never")`)
	fs.BoolVarP(&o.quiet, "quiet", "q", false, "Suppress the pull output")
	fs.Bool("disable-content-trust", true, "Skip image verification")
}

func newCreate(app *App) *cobra.Command {
	o := &createOptions{}
	cmd := &cobra.Command{
		Use: "create [OPTIONS] IMAGE [COMMAND] [ARG...]", Short: "Create a new container", Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runCreate(cmd.Context(), app, o, args) },
		ValidArgsFunction: app.completeImages,
	}
	o.bind(cmd.Flags())
	return cmd
}

func runCreate(ctx context.Context, app *App, o *createOptions, args []string) error {
	request, err := o.flags.Compile(args, app.sources())
	if err != nil {
		return StatusError{Code: 125, Text: app.runMistake("create", err)}
	}
	api, err := app.connect()
	if err != nil {
		return err
	}
	id, err := app.create(ctx, api, request, o)
	if err != nil {
		return StatusError{Code: 125, Text: err.Error()}
	}
	app.println(id)
	return nil
}

// runMistake is what run and create print when no container was started.
func (a *App) runMistake(verb string, err error) string {
	if mistake, ok := errors.AsType[runflags.FlagError](err); ok {
		return fmt.Sprintf("%v\n\nUsage:  slipway %s [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'slipway %s --help' for more information", mistake, verb, verb)
	}
	return fmt.Sprintf("slipway: %s\n\nRun 'slipway %s --help' for more information", a.wording(err), verb)
}

// sources are this machine's files and environment.
func (a *App) sources() runflags.Sources {
	return runflags.Sources{ReadFile: os.ReadFile, LookupEnv: os.LookupEnv, Abs: filepath.Abs}
}

// create asks the daemon for a container, and pulls the image first where the policy or its absence asks for that.
func (a *App) create(ctx context.Context, api *client.Client, r *runflags.Request, o *createOptions) (string, error) {
	id, err := newIDFile(r.HostConfig.ContainerIDFile)
	if err != nil {
		return "", err
	}
	defer id.discard()
	if o.pull == pullAlways {
		if err := a.pullFor(ctx, api, r, o.quiet); err != nil {
			return "", err
		}
	}
	options := client.ContainerCreateOptions{
		Config: r.Config, HostConfig: r.HostConfig, NetworkingConfig: r.NetworkingConfig, Platform: r.Platform, Name: r.Name,
	}
	made, err := api.ContainerCreate(ctx, options)
	if isNotFound(err) && o.pull == pullMissing && isNamed(r.Config.Image) {
		if !o.quiet {
			fmt.Fprintf(a.Err, "Unable to find image '%s' locally\n", tagged(r.Config.Image))
		}
		if err := a.pullFor(ctx, api, r, o.quiet); err != nil {
			return "", err
		}
		made, err = api.ContainerCreate(ctx, options)
	}
	if err != nil {
		return "", err
	}
	for _, warning := range made.Warnings {
		a.warn(warning)
	}
	return made.ID, id.write(made.ID)
}

func (a *App) pullFor(ctx context.Context, api *client.Client, r *runflags.Request, quiet bool) error {
	out := a.Err
	return a.pullImage(ctx, api, r.Config.Image, client.ImagePullOptions{Platforms: platforms(r.Platform)}, out, quiet)
}

// isNamed tells a name from an id: an id that is not there cannot be pulled.
func isNamed(image string) bool {
	_, err := reference.ParseNormalizedNamed(image)
	return err == nil
}

// tagged is the familiar name with the tag it will be pulled by.
func tagged(image string) string {
	ref, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return image
	}
	return reference.FamiliarString(reference.TagNameOnly(ref))
}

// idFile is --cidfile: it must not exist, and does not stay when no container was made.
type idFile struct {
	path    string
	file    *os.File
	written bool
}

func newIDFile(path string) (*idFile, error) {
	if path == "" {
		return &idFile{}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("container ID file found, make sure the other container isn't running or delete %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("create the container ID file: %w", err)
	}
	return &idFile{path: path, file: f}, nil
}

func (f *idFile) write(id string) error {
	if f.file == nil {
		return nil
	}
	f.written = true
	if _, err := f.file.WriteString(id); err != nil {
		return fmt.Errorf("write the container ID to the file: %w", err)
	}
	return nil
}

func (f *idFile) discard() {
	if f.file == nil {
		return
	}
	closeAfter(f.file)
	if !f.written {
		_ = os.Remove(f.path) // it is empty and ours; a failure leaves an empty file, which the next run reports
	}
}
