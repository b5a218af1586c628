package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/doctor"
)

func newDoctor() *cobra.Command {
	asJSON, report := false, false
	cmd := &cobra.Command{
		Use: "doctor", Short: "Tell what this machine can and cannot do, by trying", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDoctor(cmd.Context(), cmd.OutOrStdout(), asJSON, report)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&report, "report", false, "print what a bug report needs to say about the machine")
	cmd.AddCommand(&cobra.Command{
		Use: "probe CHECK", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			evidence, err := doctor.Probe(args[0])
			fmt.Fprint(cmd.OutOrStdout(), evidence)
			if err != nil {
				fmt.Fprint(os.Stderr, err)
				return exitCode(1)
			}
			return nil
		},
	})
	return cmd
}

func runDoctor(ctx context.Context, out io.Writer, asJSON, report bool) error {
	all := doctor.Examine(ctx, []string{"/proc/self/exe", "doctor", "probe"})
	if report {
		fmt.Fprint(out, doctor.Report(ctx, all))
		return nil
	}
	if asJSON {
		if err := json.NewEncoder(out).Encode(all); err != nil {
			return err
		}
	} else {
		printFindings(out, all)
	}
	if code := doctor.Code(all); code != 0 {
		return exitCode(code)
	}
	return nil
}

func printFindings(out io.Writer, all []doctor.Finding) {
	for _, f := range all {
		fmt.Fprintf(out, "%-9s %-16s stages %-10s %s\n", f.Result, f.Name, f.Stages, strings.TrimSpace(f.Evidence))
		if f.Remedy != "" {
			help := ""
			if f.VM {
				help = " (a VM helps)"
			}
			fmt.Fprintf(out, "%-9s %-16s %s%s\n", "", "", f.Remedy, help)
		}
	}
	fmt.Fprintln(out, map[int]string{
		0: "Everything the stages need is here.",
		1: "The stages work; what is degraded above is passed over with a word.",
		2: "Something vital is missing: the stages named above will not work here.",
	}[doctor.Code(all)])
}
