//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Program slipway-shim stays with a container when everybody else leaves: it is the parent of the
// container's processes, holds their input and output, and remembers how they ended. It speaks
// containerd's shim protocol (runtime v2): `start` makes a serving process and prints its address,
// `delete` cleans up after one that was killed; the rest is ttrpc.
package main

import (
	"fmt"
	"os"
)

func main() {
	opts, err := parseFlags(os.Args[1:])
	if err != nil {
		os.Exit(2) // the flag package has told why
	}
	if err := run(opts); err != nil {
		fmt.Fprintf(os.Stderr, "slipway-shim: %v\n", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	switch {
	case o.version:
		return runVersion(os.Stdout)
	case o.info:
		return runInfo(os.Stdin, os.Stdout)
	case o.action == "start":
		return runStart(o, os.Stdin, os.Stdout)
	case o.action == "delete":
		return runDelete(o, os.Stdout)
	case o.action == "" && o.socket != "":
		return runInherited(o)
	default:
		return fmt.Errorf("unknown action %q: want start or delete", o.action)
	}
}
