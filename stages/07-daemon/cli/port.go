package cli

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func newPort(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "port CONTAINER [PRIVATE_PORT[/PROTO]]", Short: "List port mappings or a specific mapping for the container",
		Args: cobra.MatchAll(minArgs(1), cobra.MaximumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPort(cmd.Context(), app, args[0], strings.Join(args[1:], ""))
		},
		ValidArgsFunction: app.completeContainers,
	}
}

func runPort(ctx context.Context, app *App, name, wanted string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	got, err := api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	ports := network.PortMap{}
	if got.Container.NetworkSettings != nil {
		ports = got.Container.NetworkSettings.Ports
	}
	lines, err := portLines(ports, name, wanted)
	for _, line := range lines {
		app.println(line)
	}
	return err
}

// portLines lists all mappings as `80/tcp -> 0.0.0.0:8080`, or of one wanted port the host's side alone.
func portLines(ports network.PortMap, name, wanted string) ([]string, error) {
	var lines []string
	if wanted != "" {
		port, err := network.ParsePort(wanted)
		if err != nil {
			return nil, fmt.Errorf("Error: invalid port (%s)", wanted)
		}
		bindings := ports[port]
		if len(bindings) == 0 {
			return nil, fmt.Errorf("Error: No public port '%s' published for %s", wanted, name)
		}
		for _, b := range bindings {
			lines = append(lines, net.JoinHostPort(b.HostIP.String(), b.HostPort))
		}
		slices.Sort(lines)
		return lines, nil
	}
	for port, bindings := range ports {
		for _, b := range bindings {
			lines = append(lines, fmt.Sprintf("%s -> %s", port, net.JoinHostPort(b.HostIP.String(), b.HostPort)))
		}
	}
	slices.Sort(lines)
	return lines, nil
}
