package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

func newList(g *global) *cobra.Command {
	format, quiet := "", false
	cmd := &cobra.Command{
		Use: "list", Short: "list containers started with the given root",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := count(cmd, args, 0, 0); err != nil {
				return err
			}
			rt, err := g.runtime()
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("root") { // a root that was asked for by name has to be there
				if _, err := os.Stat(g.root); err != nil {
					return err
				}
			}
			views, err := rt.List()
			return errors.Join(err, printList(cmd.OutOrStdout(), views, format, quiet))
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "table", "select one of: table or json")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "display only container IDs")
	return cmd
}

func printList(w io.Writer, views []runtime.View, format string, quiet bool) error {
	switch {
	case quiet:
		for _, v := range views {
			fmt.Fprintln(w, v.ID)
		}
		return nil
	case format == "json":
		return json.NewEncoder(w).Encode(views)
	case format != "table":
		return fmt.Errorf("invalid format option %q", format)
	}
	tw := tabwriter.NewWriter(w, 12, 1, 3, ' ', 0)
	fmt.Fprint(tw, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n")
	for _, v := range views {
		fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t%s\t%s\n", v.ID, v.PID, v.Status, v.Bundle, v.Created.Format(time.RFC3339Nano), v.Owner)
	}
	return tw.Flush()
}
