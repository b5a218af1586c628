package main

import (
	"fmt"
	"io"

	"github.com/docker/go-units"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
)

// progress prints one line for each thing that ends, so that it reads the same in a terminal and in a file.
type progress struct{ out io.Writer }

func newProgress(out io.Writer) *progress { return &progress{out} }

func (p *progress) show(e pull.Event) {
	switch e.Phase {
	case pull.Resolving:
		fmt.Fprintf(p.out, "%s: resolving\n", e.ID)
	case pull.DownloadComplete, pull.PullComplete, pull.Pushed:
		fmt.Fprintf(p.out, "%s: %s (%s)\n", e.ID, e.Phase, units.HumanSize(float64(e.Total)))
	case pull.AlreadyExists, pull.Mounted:
		fmt.Fprintf(p.out, "%s: %s\n", e.ID, e.Phase)
	}
}
