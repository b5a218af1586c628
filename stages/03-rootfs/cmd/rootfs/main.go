// Command rootfs pulls images and turns them into root file systems.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	err := newRootfs().ExecuteContext(ctx)
	stop()
	if err != nil {
		os.Exit(report(err))
	}
}

// exitCode ends the program with the code of the one it ran. As the only error it needs no words: the program has had its own.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// report says what went wrong and gives the exit code.
func report(err error) int {
	code, ok := errors.AsType[exitCode](err)
	if !ok {
		code = 1
	}
	if _, silent := err.(exitCode); !silent {
		if isTerminal(os.Stderr) {
			fmt.Fprint(os.Stderr, "\r\x1b[K") // over the progress
		}
		fmt.Fprintln(os.Stderr, "rootfs:", printable(strings.ReplaceAll(err.Error(), "\n", "; ")))
	}
	return int(code)
}

// printable leaves nothing of a registry's or an image's words that a terminal would obey.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
}

func newRootfs() *cobra.Command {
	var g globals
	cmd := &cobra.Command{
		Use:   "rootfs",
		Short: "Pull images and turn them into root file systems",
		Example: `  rootfs pull alpine
  rootfs run alpine sh
  rootfs unpack --bundle alpine ./alpine
  rootfs repack ./alpine localhost:5000/mine
  rootfs push localhost:5000/mine
  rootfs tree`,
		SilenceErrors: true, SilenceUsage: true,
	}
	f := cmd.PersistentFlags()
	f.StringVar(&g.root, "root", "/var/lib/slipway/rootfs", "`DIR` of the images and snapshots")
	f.StringVar(&g.snapshotter, "snapshotter", "overlay", "how snapshots are kept: overlay, btrfs or copy")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "show no progress")
	f.StringArrayVar(&g.mirrors, "mirror", nil, "`[REGISTRY=]URL` to ask before the registry itself (docker.io when none is named)")
	f.StringArrayVar(&g.plainHTTP, "plain-http", nil, "`HOST[:PORT]` of a registry that may speak http; loopback addresses always may")
	f.StringVar(&g.maxLayer, "max-layer", "", "`SIZE` (512m, 4g) that the files of one layer may have in all; no limit but the disk by default")
	cmd.AddCommand(newPull(&g), newPush(&g), newUnpack(&g), newRepack(&g), newDiff(&g), newRun(&g), newLs(&g), newTree(&g), newRm(&g),
		newImport(&g), newExport(&g))
	cmd.CompletionOptions.HiddenDefaultCmd = true
	for _, c := range cmd.Commands() {
		sayUsage(c)
	}
	return cmd
}

// sayUsage makes a wrong number of arguments tell what was expected.
func sayUsage(c *cobra.Command) {
	check := c.Args
	c.Args = func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return fmt.Errorf("%w: usage: %s", err, c.UseLine())
		}
		return nil
	}
}

// codedError is an error with words and an exit code of its own.
type codedError struct {
	error
	code exitCode
}

func (e *codedError) Unwrap() []error { return []error{e.error, e.code} }

// also keeps err as it is when nothing more went wrong; errors.Join would wrap even one.
func also(err, more error) error {
	if more == nil {
		return err
	}
	return errors.Join(err, more)
}
