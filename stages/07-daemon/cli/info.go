package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func newInfo(app *App) *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use: "info [OPTIONS]", Short: "Display system-wide information", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runInfo(cmd.Context(), app, format) },
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "Format output using a custom template: 'json' or 'TEMPLATE'")
	return cmd
}

func runInfo(ctx context.Context, app *App, format string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	got, err := api.Info(ctx, client.InfoOptions{})
	if err != nil && format != "" {
		return err
	}
	if format != "" {
		return app.templated(format, got.Info)
	}
	out := bufio.NewWriter(app.Out)
	fmt.Fprintf(out, "Client:\n Version:    %s\n Context:    default\n Debug Mode: false\n\nServer:\n", Version)
	if err == nil {
		writeInfo(out, got.Info)
	}
	for _, warning := range got.Info.Warnings {
		fmt.Fprintln(app.Err, warning)
	}
	return errors.Join(err, out.Flush())
}

// writeInfo prints the server's half, one `Name: value` a line; what the daemon left empty is left out.
func writeInfo(out *bufio.Writer, i system.Info) {
	line := func(indent int, name string, value any) {
		if text := fmt.Sprint(value); text != "" {
			fmt.Fprintf(out, "%*s%s: %s\n", indent, "", name, text)
		}
	}
	line(1, "Containers", i.Containers)
	line(2, "Running", i.ContainersRunning)
	line(2, "Paused", i.ContainersPaused)
	line(2, "Stopped", i.ContainersStopped)
	line(1, "Images", i.Images)
	line(1, "Server Version", i.ServerVersion)
	line(1, "Storage Driver", i.Driver)
	for _, pair := range i.DriverStatus {
		line(2, pair[0], pair[1])
	}
	line(1, "Logging Driver", i.LoggingDriver)
	line(1, "Cgroup Driver", i.CgroupDriver)
	line(1, "Cgroup Version", i.CgroupVersion)
	fmt.Fprintln(out, " Plugins:")
	line(2, "Volume", strings.Join(i.Plugins.Volume, " "))
	line(2, "Network", strings.Join(i.Plugins.Network, " "))
	line(2, "Log", strings.Join(i.Plugins.Log, " "))
	line(1, "Swarm", i.Swarm.LocalNodeState)
	line(1, "Runtimes", strings.Join(slices.Sorted(maps.Keys(i.Runtimes)), " "))
	line(1, "Default Runtime", i.DefaultRuntime)
	line(1, "Init Binary", i.InitBinary)
	line(1, "containerd version", i.ContainerdCommit.ID)
	line(1, "runc version", i.RuncCommit.ID)
	line(1, "init version", i.InitCommit.ID)
	writeSecurity(out, i.SecurityOptions)
	line(1, "Kernel Version", i.KernelVersion)
	line(1, "Operating System", i.OperatingSystem)
	line(1, "OSType", i.OSType)
	line(1, "Architecture", i.Architecture)
	line(1, "CPUs", i.NCPU)
	line(1, "Total Memory", units.BytesSize(float64(i.MemTotal)))
	line(1, "Name", i.Name)
	line(1, "ID", i.ID)
	line(1, "Docker Root Dir", i.DockerRootDir)
	line(1, "Debug Mode", i.Debug)
	for _, label := range i.Labels {
		line(2, "Label", label)
	}
	line(1, "Experimental", i.ExperimentalBuild)
	line(1, "Live Restore Enabled", i.LiveRestoreEnabled)
}

// writeSecurity prints options such as `name=seccomp,profile=builtin`: the name, and its settings below it.
func writeSecurity(out *bufio.Writer, options []string) {
	if len(options) == 0 {
		return
	}
	fmt.Fprintln(out, " Security Options:")
	for _, option := range options {
		fields := strings.Split(option, ",")
		fmt.Fprintf(out, "  %s\n", strings.TrimPrefix(fields[0], "name="))
		for _, field := range fields[1:] {
			key, value, _ := strings.Cut(field, "=")
			fmt.Fprintf(out, "   %s: %s\n", strings.ToUpper(key[:min(1, len(key))])+key[min(1, len(key)):], value)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
