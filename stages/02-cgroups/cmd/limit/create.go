package main

import (
	"fmt"
	"os"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/spf13/cobra"
)

func newCreate() *cobra.Command {
	var b budget
	cmd := &cobra.Command{
		Use:   "create [flags] GROUP",
		Short: "Make a group with a budget",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return runCreate(cmd, &b, args[0]) },
	}
	b.flags(cmd.Flags())
	return cmd
}

func runCreate(cmd *cobra.Command, b *budget, name string) error {
	g, err := find(name)
	if err != nil {
		return err
	}
	if g.Exists() {
		return &os.PathError{Op: "create", Path: "cgroup " + g.Path(), Err: os.ErrExist}
	}
	resources, err := b.resources()
	if err != nil {
		return err
	}
	if err := g.Create(); err != nil {
		return err
	}
	if err := g.Set(resources); err != nil {
		return undo(cmd, g, err)
	}
	fmt.Fprintln(cmd.OutOrStdout(), g.Path())
	return nil
}

// undo takes a group away that could not be given its budget.
func undo(cmd *cobra.Command, g *cgroup.Group, err error) error {
	if removeErr := end(cmd.Context(), g); removeErr != nil {
		return fmt.Errorf("%w; and then %w", err, removeErr)
	}
	return err
}

func newSet() *cobra.Command {
	var b budget
	cmd := &cobra.Command{
		Use:   "set [flags] GROUP",
		Short: "Change the budget of a group, whatever runs in it",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			g, err := existing(args[0])
			if err != nil {
				return err
			}
			resources, err := b.resources()
			if err != nil {
				return err
			}
			return g.Set(resources)
		},
	}
	b.flags(cmd.Flags())
	return cmd
}
