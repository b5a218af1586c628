package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func newPs(g *global) *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use: "ps CONTAINER [PS OPTIONS]", Short: "display the processes running inside a container",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := count(cmd, args, 1, -1); err != nil {
				return err
			}
			rt, err := g.runtime()
			if err != nil {
				return err
			}
			pids, err := rt.Pids(args[0])
			if err != nil {
				return err
			}
			return printPs(cmd.OutOrStdout(), pids, format, args[1:])
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVarP(&format, "format", "f", "table", "select one of: table or json")
	return cmd
}

// printPs shows the host's ps, cut down to the container's processes; in JSON only their ids.
func printPs(w io.Writer, pids []int, format string, args []string) error {
	switch format {
	case "json":
		return json.NewEncoder(w).Encode(pids)
	case "table":
	default:
		return fmt.Errorf("invalid format option %q", format)
	}
	if len(args) == 0 {
		args = []string{"-ef"}
	}
	out, err := exec.Command("ps", args...).Output()
	if e, ok := errors.AsType[*exec.ExitError](err); ok { // the user's options: let ps say what it does not like
		return fmt.Errorf("ps %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(e.Stderr)))
	} else if err != nil {
		return fmt.Errorf("ps %s: %w", strings.Join(args, " "), err)
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	column := slices.Index(strings.Fields(lines[0]), "PID")
	if column < 0 {
		return fmt.Errorf("ps %s: its output has no column PID", strings.Join(args, " "))
	}
	fmt.Fprintln(w, lines[0])
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		if len(fields) <= column {
			continue
		}
		if pid, err := strconv.Atoi(fields[column]); err == nil && slices.Contains(pids, pid) {
			fmt.Fprintln(w, line)
		}
	}
	return nil
}
