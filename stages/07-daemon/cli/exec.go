package cli

import (
	"context"
	"errors"

	"github.com/moby/moby/client"
	"github.com/slipway-engine/slipway/stages/07-daemon/cli/runflags"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

type execOptions struct {
	flags      runflags.Exec
	detach     bool
	detachKeys string
}

func newExec(app *App) *cobra.Command {
	o := &execOptions{}
	cmd := &cobra.Command{
		Use: "exec [OPTIONS] CONTAINER COMMAND [ARG...]", Short: "Execute a command in a running container", Args: minArgs(2),
		RunE:              func(cmd *cobra.Command, args []string) error { return runExec(cmd.Context(), app, o, args) },
		ValidArgsFunction: app.completeContainers,
	}
	fs := cmd.Flags()
	fs.SetInterspersed(false)
	o.flags.Bind(fs)
	fs.BoolVarP(&o.detach, "detach", "d", false, "Detached mode: run command in the background")
	fs.StringVar(&o.detachKeys, "detach-keys", "", "Override the key sequence for detaching a container")
	return cmd
}

func runExec(ctx context.Context, app *App, o *execOptions, args []string) error {
	request, err := o.flags.Compile(args[1:], o.detach, app.sources())
	if err != nil {
		return err
	}
	request.DetachKeys = o.detachKeys
	if _, ok := terminal(app.In); request.TTY && request.AttachStdin && !ok {
		return errors.New("the input device is not a TTY")
	}
	api, err := app.connect()
	if err != nil {
		return err
	}
	// The container is looked up first, so that its absence is reported as such.
	if _, err := api.ContainerInspect(ctx, args[0], client.ContainerInspectOptions{}); err != nil {
		return err
	}
	made, err := api.ExecCreate(ctx, args[0], request)
	if err != nil {
		return err
	}
	if made.ID == "" {
		return errors.New("exec ID empty")
	}
	if o.detach {
		_, err := api.ExecStart(ctx, made.ID, client.ExecStartOptions{Detach: true, TTY: request.TTY})
		return err
	}
	return app.execAttached(ctx, api, made.ID, request)
}

func (a *App) execAttached(ctx context.Context, api *client.Client, id string, request client.ExecCreateOptions) error {
	keys, err := parseKeys(request.DetachKeys)
	if err != nil {
		return err
	}
	start := client.ExecAttachOptions{TTY: request.TTY}
	if f, ok := terminal(a.Out); request.TTY && ok {
		if columns, rows, err := term.GetSize(int(f.Fd())); err == nil {
			start.ConsoleSize = client.ConsoleSize{Height: uint(rows), Width: uint(columns)}
		}
	}
	got, err := api.ExecAttach(ctx, id, start)
	if err != nil {
		return err
	}
	s := &session{conn: &got.HijackedResponse, out: a.Out, err: a.Err, tty: request.TTY, keys: keys}
	if request.AttachStdin {
		s.in = a.In
	}
	defer s.close()
	if request.TTY {
		defer a.followSize(ctx, func(size client.ContainerResizeOptions) error {
			_, err := api.ExecResize(ctx, id, client.ExecResizeOptions(size))
			return err
		})()
	}
	if err := s.stream(ctx); err != nil {
		return err
	}
	ended, err := api.ExecInspect(ctx, id, client.ExecInspectOptions{})
	if err != nil {
		return err
	}
	if ended.ExitCode != 0 {
		return StatusError{Code: ended.ExitCode}
	}
	return nil
}
