package cli

import (
	"context"
	"strconv"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

type networkLsOptions struct {
	quiet, noTrunc bool
	format         string
	filter         filterFlag
}

func newNetwork(app *App) *cobra.Command {
	group := management("network", "Manage networks")
	group.AddCommand(newNetworkLs(app), newTypedInspect(app, "network"), newNetworkCreate(app), newNetworkRm(app), newNetworkConnect(app),
		newNetworkDisconnect(app), newPrune(app, networkPruner()))
	return group
}

func newNetworkLs(app *App) *cobra.Command {
	o := networkLsOptions{filter: filterFlag{}}
	cmd := &cobra.Command{
		Use: "ls [OPTIONS]", Short: "List networks", Aliases: []string{"list"}, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runNetworkLs(cmd.Context(), app, o) },
	}
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "Only display network IDs")
	cmd.Flags().BoolVar(&o.noTrunc, "no-trunc", false, "Do not truncate the output")
	cmd.Flags().StringVar(&o.format, "format", "", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'")
	cmd.Flags().VarP(o.filter, "filter", "f", `Provide filter values (e.g. "driver=bridge")`)
	return cmd
}

func runNetworkLs(ctx context.Context, app *App, o networkLsOptions) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	got, err := api.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters(o.filter)})
	if err != nil {
		return err
	}
	l := listing{
		table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}", quiet: "ID",
		headings: map[string]string{
			"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE", "IPv4": "IPV4", "IPv6": "IPV6", "Internal": "INTERNAL",
			"Labels": "LABELS", "CreatedAt": "CREATED AT",
		},
	}
	for _, n := range got.Items {
		id := n.ID
		if !o.noTrunc {
			id = shortID(id)
		}
		l.rows = append(l.rows, row{
			labelsField: n.Labels, "ID": id, "Name": n.Name, "Driver": n.Driver, "Scope": n.Scope, "IPv4": strconv.FormatBool(n.EnableIPv4),
			"IPv6": strconv.FormatBool(n.EnableIPv6), "Internal": strconv.FormatBool(n.Internal), "Labels": labelsText(n.Labels), "CreatedAt": n.Created.String(),
		})
	}
	sortRows(l.rows, "Name")
	return l.write(app.Out, o.format, o.quiet)
}
