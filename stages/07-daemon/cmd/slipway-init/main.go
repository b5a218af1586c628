// Slipway-init is a container's process 1: see package initd.
package main

import (
	"os"

	"github.com/slipway-engine/slipway/stages/07-daemon/initd"
)

// version is what --version tells.
const version = "slipway-init version 0.1.0\n"

func main() {
	o, err := initd.Parse(os.Args[1:], os.Getenv)
	switch {
	case err != nil:
		initd.Say(err.Error())
		_, _ = os.Stderr.WriteString(initd.Usage)
		os.Exit(1)
	case o.Version:
		_, _ = os.Stdout.WriteString(version)
	case o.Help:
		_, _ = os.Stdout.WriteString(initd.Usage)
	default:
		os.Exit(initd.Run(o))
	}
}
