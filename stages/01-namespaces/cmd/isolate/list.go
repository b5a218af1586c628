package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/01-namespaces/namespace"
)

type listOptions struct {
	kinds      []string
	columns    []string
	everything bool
	task       int
	tree       string
	json       bool
	raw        bool
	list       bool
	noheadings bool
	notruncate bool
	persistent bool
	id         namespace.ID // only this one's processes
}

func newList() *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use: "list [flags] [NAMESPACE]", Short: "List the namespaces that exist, or the processes in one, as lsns does",
		Long: "List the namespaces that a visible process is in, that a file keeps, and their owners and parents.\n\nColumns: " + strings.Join(columnHelp(), "\n         "),
		Example: `  isolate list -t net
  isolate list --tree
  isolate list -o NS,TYPE,NPROCS,KEPT -p $$`,
		Args: cobra.MaximumNArgs(1), SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("task") && o.task <= 0 {
				return fmt.Errorf("--task %d: want a process id", o.task)
			}
			if len(args) == 1 {
				id, err := strconv.ParseUint(args[0], 10, 64)
				if err != nil {
					return fmt.Errorf("%q is no namespace: want its number, as in readlink /proc/PID/ns/KIND", args[0])
				}
				o.id = namespace.ID(id)
			}
			return runList(cmd.OutOrStdout(), o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringSliceVarP(&o.kinds, "type", "t", nil, "only these kinds (mnt, net, ipc, user, pid, uts, cgroup, time)")
	f.IntVarP(&o.task, "task", "p", 0, "only the namespaces of process `PID`")
	f.BoolVarP(&o.persistent, "persistent", "P", false, "only those that no process is in")
	f.StringSliceVarP(&o.columns, "output", "o", nil, "these `COLUMNS`")
	f.BoolVar(&o.everything, "output-all", false, "all columns")
	f.StringVarP(&o.tree, "tree", "T", "", "as a tree by `RELATION`: owner, parent, or process")
	f.Lookup("tree").NoOptDefVal = "owner"
	f.BoolVarP(&o.list, "list", "l", false, "a plain list, the default")
	f.BoolVarP(&o.json, "json", "J", false, "JSON")
	f.BoolVarP(&o.raw, "raw", "r", false, "columns with one blank between them, blanks inside as \\x20")
	f.BoolVarP(&o.noheadings, "noheadings", "n", false, "no line of headings")
	f.BoolVarP(&o.notruncate, "notruncate", "u", false, "do not cut the last column")
	cmd.MarkFlagsMutuallyExclusive("json", "raw", "tree")
	cmd.MarkFlagsMutuallyExclusive("list", "tree")
	return cmd
}

func runList(out io.Writer, o listOptions) error {
	keep, err := o.filter()
	if err != nil {
		return err
	}
	all, err := namespace.List()
	if err != nil {
		return err
	}
	if o.id != 0 {
		return o.processes(out, all)
	}
	all = slices.DeleteFunc(all, func(n namespace.Namespace) bool { return !keep(n) })
	columns, err := o.chosen()
	if err != nil {
		return err
	}
	rows, err := o.rows(all, columns)
	if err != nil {
		return err
	}
	return o.print(out, columns, rows)
}

// filter is what the flags say of which namespaces are listed.
func (o listOptions) filter() (func(namespace.Namespace) bool, error) {
	var kinds []string
	for _, name := range o.kinds {
		k, err := namespace.Named(name)
		if err != nil {
			return nil, err
		}
		kinds = append(kinds, k.File)
	}
	var ids []namespace.ID
	if o.task != 0 {
		of, err := namespace.Of(o.task)
		if err != nil {
			return nil, err
		}
		for _, id := range of {
			ids = append(ids, id)
		}
	}
	return func(n namespace.Namespace) bool {
		return (kinds == nil || slices.Contains(kinds, n.Kind)) && (ids == nil || slices.Contains(ids, n.ID)) && (!o.persistent || n.Procs == 0)
	}, nil
}

// processes lists who is in one namespace.
func (o listOptions) processes(out io.Writer, all []namespace.Namespace) error {
	i := slices.IndexFunc(all, func(n namespace.Namespace) bool { return n.ID == o.id })
	if i < 0 {
		return fmt.Errorf("no namespace %d: %w", o.id, os.ErrNotExist)
	}
	columns := []column{{name: "PID", right: true}, {name: "PPID", right: true}, {name: "USER"}, {name: "COMMAND"}}
	var rows [][]string
	for _, pid := range all[i].Members {
		one := member(all[i], pid)
		rows = append(rows, []string{strconv.Itoa(pid), strconv.Itoa(one.PPID), userName(one.UID), one.Command})
	}
	return o.print(out, columns, rows)
}
