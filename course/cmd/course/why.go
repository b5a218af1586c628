package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/why"
)

func newWhy() *cobra.Command {
	return &cobra.Command{
		Use: "why [CODE]", Short: "Explain a diagnosis at length", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := checkout()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), strings.Join(why.Codes(root), "\n"))
				return nil
			}
			page, err := why.Page(root, args[0])
			fmt.Fprint(cmd.OutOrStdout(), page)
			return err
		},
	}
}
