package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use: "man BIN DIR", Short: "Write a man page for each program in BIN, from its own --help", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runMan(cmd.Context(), cmd.OutOrStdout(), args[0], args[1])
		},
	}
}

func runMan(ctx context.Context, out io.Writer, bin, dir string) error {
	programs, err := os.ReadDir(bin)
	if err != nil {
		return err
	}
	for _, p := range programs {
		if p.Name() == "slipway-toolbox" { // an image's content, not a command of the host
			continue
		}
		section := 1
		if strings.HasPrefix(p.Name(), "slipway-") {
			section = 8
		}
		// The exit status of --help is the program's own matter (tini's is 1).
		help, err := exec.CommandContext(ctx, filepath.Join(bin, p.Name()), "--help").CombinedOutput()
		if len(help) == 0 {
			return fmt.Errorf("%s --help prints nothing: %w", p.Name(), err)
		}
		path := filepath.Join(dir, fmt.Sprintf("man%d", section), fmt.Sprintf("%s.%d", p.Name(), section))
		if err := os.WriteFile(path, []byte(page(p.Name(), section, string(help))), 0o644); err != nil {
			return err
		}
		fmt.Fprintln(out, path)
	}
	return nil
}

// page is man(7) source around the help text.
func page(name string, section int, help string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(help), "\n")
	esc := strings.NewReplacer(`\`, `\e`, "\n.", "\n\\&.", "\n'", "\n\\&'", "-", `\-`)
	return fmt.Sprintf(".TH %s %d \"\" Slipway\n.SH NAME\n%s \\- %s\n.SH SYNOPSIS AND OPTIONS\n.nf\n%s\n.fi\n",
		strings.ToUpper(name), section, name, esc.Replace(first), esc.Replace("\n"+help))
}
