package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// newCheckpoint and newRestore are there to say clearly that they are not: callers must not mistake a missing verb for a typo.
func newCheckpoint(*global) *cobra.Command {
	return &cobra.Command{
		Use: "checkpoint", Short: "not supported", DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("checkpoint is not supported by slipway-runtime")
		},
	}
}

func newRestore(*global) *cobra.Command {
	return &cobra.Command{
		Use: "restore", Short: "not supported", DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("restore is not supported by slipway-runtime")
		},
	}
}
