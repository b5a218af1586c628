// Package cli is the client: it stands where `docker` stands, with its verbs, flags, columns and exit codes, and speaks the
// Docker Engine API to any daemon that serves it.
//
// Every verb is a file: an options struct, newX which binds flags to it, and runX which does the work. Flags never reach the
// network code and the network code never sees cobra.
package cli

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Streams are where a command reads and writes; tests give buffers.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// terminal returns the file behind a stream when it is a terminal.
func terminal(stream any) (*os.File, bool) {
	f, ok := stream.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// width is the number of columns of the terminal, or fallback.
func width(stream any, fallback int) int {
	if f, ok := terminal(stream); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
	}
	return fallback
}
