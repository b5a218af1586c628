package cli

import (
	"context"
	"strings"
	"time"

	"github.com/moby/moby/api/types/image"
	"github.com/spf13/cobra"
)

type historyOptions struct {
	quiet, noTrunc, human bool
	format                string
}

func newHistory(app *App) *cobra.Command {
	var o historyOptions
	cmd := &cobra.Command{
		Use: "history [OPTIONS] IMAGE", Short: "Show the history of an image", Args: exactArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runHistory(cmd.Context(), app, o, args[0]) },
		ValidArgsFunction: app.completeImages,
	}
	cmd.Flags().BoolVarP(&o.human, "human", "H", true, "Print sizes and dates in human readable format")
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "Only show image IDs")
	cmd.Flags().BoolVar(&o.noTrunc, "no-trunc", false, "Don't truncate output")
	cmd.Flags().StringVar(&o.format, "format", "", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'")
	return cmd
}

func runHistory(ctx context.Context, app *App, o historyOptions, name string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	got, err := api.ImageHistory(ctx, name)
	if err != nil {
		return err
	}
	l := listing{
		table: "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}", quiet: "ID",
		headings: map[string]string{"ID": "IMAGE", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "CreatedBy": "CREATED BY", "Size": "SIZE", "Comment": "COMMENT"},
	}
	if !o.human {
		l.table = strings.Replace(l.table, ".CreatedSince", ".CreatedAt", 1)
	}
	for _, item := range got.Items {
		l.rows = append(l.rows, app.historyRow(item, o))
	}
	return l.write(app.Out, o.format, o.quiet)
}

func (a *App) historyRow(item image.HistoryResponseItem, o historyOptions) row {
	created := time.Unix(item.Created, 0)
	id, by, size := item.ID, strings.ReplaceAll(item.CreatedBy, "\t", " "), decimalText(item.Size)
	if !o.noTrunc {
		id, by = shortID(id), ellipsis(by, 45)
	}
	if !o.human {
		size = formatInt(item.Size)
	}
	return row{"ID": id, "CreatedSince": a.ago(created), "CreatedAt": created.Format(time.RFC3339), "CreatedBy": by, "Size": size, "Comment": item.Comment}
}
