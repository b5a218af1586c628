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
	"github.com/slipway-engine/slipway/course/screen"
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
		printFindings(screen.New(out), all)
	}
	if code := doctor.Code(all); code != 0 {
		return exitCode(code)
	}
	return nil
}

func printFindings(out screen.Screen, all []doctor.Finding) {
	style := map[string]screen.Style{"ok": screen.Green, "degraded": screen.Yellow, "missing": screen.Red}
	for _, f := range all {
		row(out, out.In(style[f.Result], screen.Fit(f.Result, 9)), f.Name, strings.TrimSpace(f.Evidence))
		if f.Result == "ok" {
			continue
		}
		row(out, screen.Fit("", 9), "  stages", f.Stages)
		if f.Affects != "" {
			row(out, screen.Fit("", 9), "  exercises", f.Affects)
		}
		row(out, screen.Fit("", 9), "  remedy", f.Remedy)
		if f.VM {
			row(out, screen.Fit("", 9), "  or", "in a throw-away virtual machine: make stage-N test VM=1")
		}
	}
	fmt.Fprintf(out, "\n%s\n", map[int]string{
		0: "Everything the stages need is here.",
		1: "The stages work. What is degraded is passed over with a word.",
		2: "Something vital is missing: the stages named above will not work here.",
	}[doctor.Code(all)])
}

// row is one thing told, within the screen's width.
func row(out screen.Screen, result, name, text string) {
	for _, line := range screen.Wrap(text, screen.Width-28) {
		fmt.Fprintf(out, "%s %s %s\n", result, screen.Fit(name, 16), line)
		result, name = screen.Fit("", 9), ""
	}
}
