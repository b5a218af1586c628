package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/06-manager/client"
)

type streams struct {
	in       *os.File
	out, err io.Writer
}

// session is what every verb has: the flags that all share and the streams.
type session struct {
	streams
	Address   string
	Namespace string
}

func newRoot(std streams) *cobra.Command {
	s := &session{streams: std}
	cmd := &cobra.Command{
		Use:           "slipctl",
		Short:         "Look at and drive a slipway-manager (or containerd)",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	f := cmd.PersistentFlags()
	f.StringVarP(&s.Address, "address", "a", ownManager, "the manager's socket; by default the engine's manager is used where this one is not")
	f.StringVarP(&s.Namespace, "namespace", "n", "default", "namespace of images, containers and tasks (the engine's is \"slipway\")")
	cmd.AddCommand(newImages(s), newContainers(s), newRun(s), newTasks(s), newSnapshots(s), newContent(s),
		newLeases(s), newNamespaces(s), newEvents(s), newVersion(s), newTree(s))
	return cmd
}

// The two places of a manager's socket: one that was started by itself, and the one that a daemon keeps (docs/boundaries.md).
const (
	ownManager     = "/run/slipway/manager/manager.sock"
	enginesManager = "/run/slipway/daemon/manager/manager.sock"
)

// address is the flag, or the engine's manager when the default names no socket.
func (s *session) address() string {
	if s.Address == ownManager {
		_, own := os.Stat(ownManager)
		_, engines := os.Stat(enginesManager)
		if own != nil && engines == nil {
			return enginesManager
		}
	}
	return s.Address
}

// call is a verb's body: connected, in its namespace.
type call func(ctx context.Context, c *client.Client) error

// do runs a verb's body.
func (s *session) do(cmd *cobra.Command, body call) error {
	c, err := client.Dial(s.address())
	if err != nil {
		return err
	}
	defer c.Close()
	return body(client.In(cmd.Context(), s.Namespace), c)
}

// verb is a command with a fixed number of arguments.
func (s *session) verb(use, short string, args cobra.PositionalArgs, body func(ctx context.Context, c *client.Client, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
		return s.do(cmd, func(ctx context.Context, c *client.Client) error { return body(ctx, c, args) })
	}}
}

// table prints columns as ctr does.
func (s *session) table(header string, rows [][]string) error {
	w := tabwriter.NewWriter(s.out, 4, 8, 4, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(header, "|", "\t"))
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// labels prints a map in order, or "-".
func labels(m map[string]string) string {
	if len(m) == 0 {
		return "-"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+"="+m[k])
	}
	return strings.Join(parts, ",")
}

// each runs one act for each argument and goes on after a failure.
func each(args []string, act func(string) error) error {
	var failed []string
	for _, a := range args {
		if err := act(a); err != nil {
			failed = append(failed, fmt.Sprintf("%s: %s", a, message(err)))
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%s", strings.Join(failed, "\n"))
	}
	return nil
}
