package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/opencontainers/runtime-spec/specs-go"
)

const ownName = "slipway-runtime"

// versionText has runc's form: dockerd reads it.
func versionText() string {
	commit := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	text := fmt.Sprintf("%s version 0.1.0\ncommit: %s\nspec: %s\ngo: %s\n", program(), commit, specs.Version, runtime.Version())
	if program() != ownName { // called by a link of another name
		text += "program: " + ownName + "\n"
	}
	return text
}
