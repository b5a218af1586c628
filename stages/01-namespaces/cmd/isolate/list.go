package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os/user"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/01-namespaces/namespace"
)

type listOptions struct {
	kinds []string
	json  bool
}

func newList() *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use: "list", Short: "List the namespaces that exist, as lsns does", Args: cobra.NoArgs,
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return runList(cmd.OutOrStdout(), o) },
	}
	cmd.Flags().StringSliceVarP(&o.kinds, "type", "t", nil, "only these kinds (mnt, net, ipc, user, pid, uts, cgroup, time)")
	cmd.Flags().BoolVarP(&o.json, "json", "J", false, "print JSON")
	return cmd
}

func runList(out io.Writer, o listOptions) error {
	var files []string
	for _, name := range o.kinds {
		k, err := namespace.Named(name)
		if err != nil {
			return err
		}
		files = append(files, k.File)
	}
	all, err := namespace.List()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(n namespace.Namespace) bool { return files != nil && !slices.Contains(files, n.Kind) })
	if o.json {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(map[string]any{"namespaces": all})
	}
	return table(out, all)
}

func table(out io.Writer, all []namespace.Namespace) error {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "NS\tTYPE\tNPROCS\tPID\tUSER\tOWNER\tPARENT\tCOMMAND")
	for _, n := range all {
		fmt.Fprintf(tw, "%d\t%s\t%d\t%d\t%s\t%s\t%s\t%.60s\n", n.ID, n.Kind, n.Procs, n.PID, userName(n.UID), id(n.Owner), id(n.Parent), n.Command)
	}
	return tw.Flush()
}

func id(n namespace.ID) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatUint(uint64(n), 10)
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}
