package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/opencontainers/runtime-spec/specs-go"
)

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
	return fmt.Sprintf("slipway-runtime version 0.1.0\ncommit: %s\nspec: %s\ngo: %s\n", commit, specs.Version, runtime.Version())
}
