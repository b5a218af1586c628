package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/client"
	"github.com/slipway-engine/slipway/stages/07-daemon/cli/runflags"
	"github.com/spf13/cobra"
)

func newVolume(app *App) *cobra.Command {
	group := management("volume", "Manage volumes")
	group.AddCommand(newVolumeCreate(app), newTypedInspect(app, "volume"), newVolumeLs(app), newVolumeRm(app), newPrune(app, volumePruner()))
	return group
}

type volumeLsOptions struct {
	quiet  bool
	format string
	filter filterFlag
}

func newVolumeLs(app *App) *cobra.Command {
	o := volumeLsOptions{filter: filterFlag{}}
	cmd := &cobra.Command{
		Use: "ls [OPTIONS]", Short: "List volumes", Aliases: []string{"list"}, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runVolumeLs(cmd.Context(), app, o) },
	}
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "Only display volume names")
	cmd.Flags().StringVar(&o.format, "format", "", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'")
	cmd.Flags().VarP(o.filter, "filter", "f", `Provide filter values (e.g. "dangling=true")`)
	return cmd
}

func runVolumeLs(ctx context.Context, app *App, o volumeLsOptions) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	got, err := api.VolumeList(ctx, client.VolumeListOptions{Filters: client.Filters(o.filter)})
	if err != nil {
		return err
	}
	l := listing{
		table: "{{.Driver}}\t{{.Name}}", quiet: "Name",
		headings: map[string]string{"Driver": "DRIVER", "Name": "VOLUME NAME", "Scope": "SCOPE", "Mountpoint": "MOUNTPOINT", "Labels": "LABELS", "Size": "SIZE", "Links": "LINKS"},
	}
	for _, v := range got.Items {
		size, links := "N/A", "N/A"
		if v.UsageData != nil {
			size, links = decimalText(v.UsageData.Size), fmt.Sprint(v.UsageData.RefCount)
		}
		l.rows = append(l.rows, row{
			labelsField: v.Labels, "Driver": v.Driver, "Name": v.Name, "Scope": v.Scope, "Mountpoint": v.Mountpoint,
			"Labels": labelsText(v.Labels), "Size": size, "Links": links, "Availability": "N/A", "Group": "N/A", "Status": "N/A",
		})
	}
	sortRows(l.rows, "Name")
	return l.write(app.Out, o.format, o.quiet)
}

// sortRows orders rows by the text of one field.
func sortRows(rows []row, field string) {
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(fmt.Sprint(a[field]), fmt.Sprint(b[field])) })
}

type volumeCreateOptions struct {
	driver          string
	labels, options []string
}

func newVolumeCreate(app *App) *cobra.Command {
	var o volumeCreateOptions
	cmd := &cobra.Command{
		Use: "create [OPTIONS] [VOLUME]", Short: "Create a volume", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runVolumeCreate(cmd.Context(), app, o, strings.Join(args, ""))
		},
	}
	cmd.Flags().StringVarP(&o.driver, "driver", "d", "local", "Specify volume driver name")
	cmd.Flags().Var(runflags.List(&o.labels), "label", "Set metadata for a volume")
	cmd.Flags().VarP(runflags.List(&o.options), "opt", "o", "Set driver specific options")
	return cmd
}

func runVolumeCreate(ctx context.Context, app *App, o volumeCreateOptions, name string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	got, err := api.VolumeCreate(ctx, client.VolumeCreateOptions{
		Name: name, Driver: o.driver, Labels: runflags.Pairs(o.labels), DriverOpts: runflags.Pairs(o.options),
	})
	if err != nil {
		return err
	}
	app.println(got.Volume.Name)
	return nil
}

func newVolumeRm(app *App) *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use: "rm [OPTIONS] VOLUME [VOLUME...]", Short: "Remove one or more volumes", Aliases: []string{"remove"}, Args: minArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runVolumeRm(cmd.Context(), app, force, args) },
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "Force the removal of one or more volumes")
	return cmd
}

func runVolumeRm(ctx context.Context, app *App, force bool, names []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	return app.each(names, func(name string) error {
		_, err := api.VolumeRemove(ctx, name, client.VolumeRemoveOptions{Force: force})
		return err
	})
}
