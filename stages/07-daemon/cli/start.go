package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

type startOptions struct {
	attach, interactive bool
	detachKeys          string
}

func newStart(app *App) *cobra.Command {
	var o startOptions
	cmd := &cobra.Command{
		Use: "start [OPTIONS] CONTAINER [CONTAINER...]", Short: "Start one or more stopped containers", Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runStart(cmd.Context(), app, o, args) },
		ValidArgsFunction: app.completeAllContainers,
	}
	cmd.Flags().BoolVarP(&o.attach, "attach", "a", false, "Attach STDOUT/STDERR and forward signals")
	cmd.Flags().BoolVarP(&o.interactive, "interactive", "i", false, "Attach container's STDIN")
	cmd.Flags().StringVar(&o.detachKeys, "detach-keys", "", "Override the key sequence for detaching a container")
	return cmd
}

func runStart(ctx context.Context, app *App, o startOptions, names []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	if !o.attach && !o.interactive {
		return app.startAll(ctx, api, names)
	}
	if len(names) > 1 {
		return errors.New("you cannot start and attach multiple containers at once")
	}
	return app.startAttached(ctx, api, o, names[0])
}

// startAll says each failure when it happens and sums them up at the end.
func (a *App) startAll(ctx context.Context, api *client.Client, names []string) error {
	var failed []string
	for _, name := range names {
		if _, err := api.ContainerStart(ctx, name, client.ContainerStartOptions{}); err != nil {
			a.complain(err)
			failed = append(failed, name)
			continue
		}
		a.println(name)
	}
	if len(failed) > 0 {
		return fmt.Errorf("Error: failed to start containers: %s", strings.Join(failed, ", "))
	}
	return nil
}

// startAttached keeps run's order: attach, wait, start.
func (a *App) startAttached(ctx context.Context, api *client.Client, o startOptions, name string) error {
	got, err := api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	c := got.Container
	session, err := a.attach(ctx, api, c.ID, attachOptions{
		stdin: o.interactive && c.Config.OpenStdin, stdout: true, stderr: true, tty: c.Config.Tty, detachKeys: o.detachKeys,
	})
	if err != nil {
		return err
	}
	defer session.close()
	if !c.Config.Tty {
		defer proxySignals(ctx, api, c.ID)()
	}
	exit := waitExit(ctx, api, c.ID, c.HostConfig.AutoRemove)
	if _, err := api.ContainerStart(ctx, c.ID, client.ContainerStartOptions{}); err != nil {
		session.close()
		if c.HostConfig.AutoRemove {
			<-exit
		}
		return err
	}
	if c.Config.Tty {
		defer a.followSize(ctx, func(size client.ContainerResizeOptions) error {
			_, err := api.ContainerResize(ctx, c.ID, size)
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
