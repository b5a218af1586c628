package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/slipway-engine/slipway/stages/07-daemon/cli/runflags"
	"github.com/spf13/cobra"
)

type runOptions struct {
	createOptions
	detach     bool
	sigProxy   bool
	detachKeys string
}

func newRun(app *App) *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use: "run [OPTIONS] IMAGE [COMMAND] [ARG...]", Short: "Create and run a new container from an image", Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runRun(cmd.Context(), app, o, args) },
		ValidArgsFunction: app.completeImages,
	}
	fs := cmd.Flags()
	o.bind(fs)
	fs.BoolVarP(&o.detach, "detach", "d", false, "Run container in background and print container ID")
	fs.BoolVar(&o.sigProxy, "sig-proxy", true, "Proxy received signals to the process")
	fs.StringVar(&o.detachKeys, "detach-keys", "", "Override the key sequence for detaching a container")
	return cmd
}

func runRun(ctx context.Context, app *App, o *runOptions, args []string) error {
	o.flags.Detach = o.detach
	request, err := o.flags.Compile(args, app.sources())
	if err != nil {
		return StatusError{Code: 125, Text: app.runMistake("run", err)}
	}
	if err := o.conflicts(app, request); err != nil {
		return err
	}
	api, err := app.connect()
	if err != nil {
		return err
	}
	id, err := app.create(ctx, api, request, &o.createOptions)
	if err != nil {
		return StatusError{Code: 125, Text: app.runMistake("run", err)}
	}
	if o.detach {
		return app.runDetached(ctx, api, id)
	}
	return app.runAttached(ctx, api, id, request, o)
}

func (o *runOptions) conflicts(app *App, r *runflags.Request) error {
	if o.detach && len(o.flags.Attach) > 0 {
		return errors.New("conflicting options: cannot specify both --attach and --detach")
	}
	if r.Config.Tty && r.Config.AttachStdin {
		if _, ok := terminal(app.In); !ok {
			return errors.New("the input device is not a TTY")
		}
	}
	return nil
}

func (a *App) runDetached(ctx context.Context, api *client.Client, id string) error {
	if _, err := api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		a.println(id)
		return a.startFailure(err)
	}
	a.println(id)
	return nil
}

// runAttached has an order that matters: attach before start, so that no output is missed; wait before start, so that no exit is
// missed; and only then start.
func (a *App) runAttached(ctx context.Context, api *client.Client, id string, r *runflags.Request, o *runOptions) error {
	session, err := a.attach(ctx, api, id, attachOptions{
		stdin: r.Config.AttachStdin, stdout: r.Config.AttachStdout, stderr: r.Config.AttachStderr, tty: r.Config.Tty, detachKeys: o.detachKeys,
	})
	if err != nil {
		return StatusError{Code: 125, Text: a.runMistake("run", err)}
	}
	defer session.close()
	if o.sigProxy && !r.Config.Tty {
		defer proxySignals(ctx, api, id)()
	}
	exit := waitExit(ctx, api, id, r.HostConfig.AutoRemove)
	if _, err := api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		session.close()
		if r.HostConfig.AutoRemove {
			<-exit // the daemon removes it; the name is free when we return
		}
		return a.startFailure(err)
	}
	if r.Config.Tty {
		defer a.followSize(ctx, func(size client.ContainerResizeOptions) error {
			_, err := api.ContainerResize(ctx, id, size)
			return err
		})()
	}
	if err := session.stream(ctx); err != nil {
		if errors.Is(err, errDetached) {
			return nil
		}
		return err
	}
	return exitStatus(<-exit)
}

// exitResult is how a container ended, or why that cannot be known.
type exitResult struct {
	code int
	err  error
}

func exitStatus(r exitResult) error {
	if r.err != nil {
		return StatusError{Code: 125, Text: r.err.Error()}
	}
	if r.code != 0 {
		return StatusError{Code: r.code}
	}
	return nil
}

// waitExit begins to wait at once; the request has reached the daemon when it returns.
func waitExit(ctx context.Context, api *client.Client, id string, removed bool) <-chan exitResult {
	condition := container.WaitConditionNextExit
	if removed {
		condition = container.WaitConditionRemoved
	}
	waiting := api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: condition})
	done := make(chan exitResult, 1)
	go func() {
		select {
		case got := <-waiting.Result:
			r := exitResult{code: int(got.StatusCode)}
			if got.Error != nil {
				r.err = errors.New(got.Error.Message)
			}
			done <- r
		case err := <-waiting.Error:
			done <- exitResult{err: err}
		}
	}()
	return done
}

// startFailure chooses the code a shell would: 127 for a command that is not there, 126 for one that cannot be run, else 125.
func (a *App) startFailure(err error) error {
	text := err.Error()
	code := 125
	switch {
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "no such file or directory"):
		code = 127
	case strings.Contains(text, "permission denied"), strings.Contains(text, "is a directory"):
		code = 126
	}
	return StatusError{Code: code, Text: a.runMistake("run", err)}
}
