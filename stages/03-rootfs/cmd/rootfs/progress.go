package main

import (
	"fmt"
	"io"
	"os"

	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"golang.org/x/sys/unix"
)

// progress prints one line for each thing that ends, so that it reads the same in a terminal and in a file. On a terminal a line below
// them tells how far all is.
type progress struct {
	out   io.Writer
	live  bool
	moves map[digest.Digest]pull.Event // the last event of each layer that is under way
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, live: isTerminal(out), moves: map[digest.Digest]pull.Event{}}
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func (p *progress) show(e pull.Event) {
	switch e.Phase {
	case pull.Resolving:
		p.line("%s: resolving", e.ID)
	case pull.DownloadComplete, pull.PullComplete, pull.Pushed:
		p.line("%s: %s (%s)", e.ID, e.Phase, units.HumanSize(float64(e.Total)))
	case pull.AlreadyExists, pull.Mounted:
		p.line("%s: %s", e.ID, e.Phase)
	}
	if e.Layer {
		p.moves[e.Digest] = e
	}
	p.summary()
}

func (p *progress) line(format string, args ...any) {
	if p.live {
		fmt.Fprint(p.out, "\r\x1b[K") // over the summary
	}
	fmt.Fprintf(p.out, format+"\n", args...)
}

// summary adds up what moves. It stays within 80 columns and is gone when all is done.
func (p *progress) summary() {
	if !p.live {
		return
	}
	var now, all int64
	busy := map[pull.Phase]int{}
	for _, e := range p.moves {
		switch e.Phase {
		case pull.Downloading, pull.Extracting, pull.Pushing, pull.Waiting:
			busy[e.Phase]++
		}
		if e.Phase == pull.Downloading || e.Phase == pull.Pushing {
			now, all = now+e.Current, all+e.Total
		}
	}
	fmt.Fprint(p.out, "\r\x1b[K")
	if all > 0 {
		fmt.Fprintf(p.out, "%s of %s  ", units.HumanSize(float64(now)), units.HumanSize(float64(all)))
	}
	for _, phase := range []pull.Phase{pull.Downloading, pull.Extracting, pull.Pushing, pull.Waiting} {
		if n := busy[phase]; n > 0 {
			fmt.Fprintf(p.out, "%s %d  ", phase, n)
		}
	}
}
