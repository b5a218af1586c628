package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

type pruneOptions struct {
	all, force bool
	filter     filterFlag
}

// pruner is one kind of object that can be cleared away.
type pruner struct {
	short   string
	warning func(o pruneOptions) string
	allHelp string // of -a; empty where there is no such flag
	run     func(ctx context.Context, api *client.Client, o pruneOptions) (title string, gone []string, space uint64, err error)
	counts  bool // whether reclaimed space is known
}

func newPrune(app *App, p pruner) *cobra.Command {
	o := pruneOptions{filter: filterFlag{}}
	cmd := &cobra.Command{
		Use: "prune [OPTIONS]", Short: p.short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runPrune(cmd.Context(), app, p, o) },
	}
	cmd.Flags().BoolVarP(&o.force, "force", "f", false, "Do not prompt for confirmation")
	cmd.Flags().Var(o.filter, "filter", `Provide filter values (e.g. "until=<timestamp>")`)
	if p.allHelp != "" {
		cmd.Flags().BoolVarP(&o.all, "all", "a", false, p.allHelp)
	}
	return cmd
}

func runPrune(ctx context.Context, app *App, p pruner, o pruneOptions) error {
	if !o.force && !app.confirm("WARNING! "+p.warning(o)) {
		return nil
	}
	api, err := app.connect()
	if err != nil {
		return err
	}
	title, gone, space, err := p.run(ctx, api, o)
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		fmt.Fprintf(app.Out, "%s:\n%s\n\n", title, strings.Join(gone, "\n"))
	}
	if p.counts {
		app.println("Total reclaimed space: " + units.HumanSize(float64(space)))
	}
	return nil
}

// confirm asks; anything but y is no.
func (a *App) confirm(question string) bool {
	fmt.Fprint(a.Out, question+"\nAre you sure you want to continue? [y/N] ")
	line, err := bufio.NewReader(a.In).ReadString('\n')
	if err != nil {
		return false
	}
	return strings.EqualFold(strings.TrimSpace(line), "y")
}

func containerPruner() pruner {
	return pruner{
		short: "Remove all stopped containers", counts: true,
		warning: func(pruneOptions) string { return "This will remove all stopped containers." },
		run: func(ctx context.Context, api *client.Client, o pruneOptions) (string, []string, uint64, error) {
			got, err := api.ContainerPrune(ctx, client.ContainerPruneOptions{Filters: client.Filters(o.filter)})
			return "Deleted Containers", got.Report.ContainersDeleted, got.Report.SpaceReclaimed, err
		},
	}
}

func imagePruner() pruner {
	return pruner{
		short: "Remove unused images", allHelp: "Remove all unused images, not just dangling ones", counts: true,
		warning: func(o pruneOptions) string {
			if o.all {
				return "This will remove all images without at least one container associated to them."
			}
			return "This will remove all dangling images."
		},
		run: func(ctx context.Context, api *client.Client, o pruneOptions) (string, []string, uint64, error) {
			filters := client.Filters(o.filter).Clone().Add("dangling", fmt.Sprint(!o.all))
			got, err := api.ImagePrune(ctx, client.ImagePruneOptions{Filters: filters})
			var lines []string
			for _, item := range got.Report.ImagesDeleted {
				if item.Untagged != "" {
					lines = append(lines, "untagged: "+item.Untagged)
				} else {
					lines = append(lines, "deleted: "+item.Deleted)
				}
			}
			return "Deleted Images", lines, got.Report.SpaceReclaimed, err
		},
	}
}

func volumePruner() pruner {
	return pruner{
		short: "Remove unused local volumes", allHelp: "Remove all unused volumes, not just anonymous ones", counts: true,
		warning: func(o pruneOptions) string {
			if o.all {
				return "This will remove all local volumes not used by at least one container."
			}
			return "This will remove anonymous local volumes not used by at least one container."
		},
		run: func(ctx context.Context, api *client.Client, o pruneOptions) (string, []string, uint64, error) {
			got, err := api.VolumePrune(ctx, client.VolumePruneOptions{All: o.all, Filters: client.Filters(o.filter)})
			return "Deleted Volumes", got.Report.VolumesDeleted, got.Report.SpaceReclaimed, err
		},
	}
}

func networkPruner() pruner {
	return pruner{
		short: "Remove all unused networks",
		warning: func(pruneOptions) string {
			return "This will remove all custom networks not used by at least one container."
		},
		run: func(ctx context.Context, api *client.Client, o pruneOptions) (string, []string, uint64, error) {
			got, err := api.NetworkPrune(ctx, client.NetworkPruneOptions{Filters: client.Filters(o.filter)})
			return "Deleted Networks", got.Report.NetworksDeleted, 0, err
		},
	}
}
