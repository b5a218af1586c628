package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/slipway-engine/slipway/stages/05-shim/oci"
	"github.com/slipway-engine/slipway/stages/05-shim/reap"
	"github.com/slipway-engine/slipway/stages/05-shim/task"
)

// version is what the Go toolchain has stamped into the program.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				return setting.Value
			}
		}
	}
	return ""
}

func runVersion(w io.Writer) error {
	_, err := fmt.Fprintf(w, "slipway-shim:\n  Version:  %s\n  Revision: %s\n  Go version: %s\n\n", version(), revision(), runtime.Version())
	return err
}

// featuresType names runtime-spec's features document as containerd does.
const featuresType = "types.containerd.io/opencontainers/runtime-spec/1/features/Features"

// runInfo prints a RuntimeInfo: who we are and what the runtime can do. Options come on stdin.
func runInfo(stdin *os.File, w io.Writer) error {
	info := &types.RuntimeInfo{
		Name:    "io.containerd.runc.v2",
		Version: &types.RuntimeVersion{Version: version(), Revision: revision()},
	}
	program, err := infoOptions(stdin, info)
	if err != nil {
		return err
	}
	reaper, err := reap.New()
	if err != nil {
		return err
	}
	defer reaper.Close()
	// A runtime without a features verb is still a runtime.
	if features, err := (&oci.Runtime{Program: program, Reaper: reaper}).Features(); err == nil {
		info.Features = &anypb.Any{TypeUrl: featuresType, Value: features}
	}
	data, err := proto.Marshal(info)
	if err != nil {
		return fmt.Errorf("encode info: %w", err)
	}
	_, err = w.Write(data)
	return err
}

func infoOptions(stdin *os.File, info *types.RuntimeInfo) (program string, err error) {
	program = defaultRuntime()
	stat, err := stdin.Stat()
	if err != nil || stat.Mode()&os.ModeCharDevice != 0 {
		return program, nil
	}
	data, err := io.ReadAll(io.LimitReader(stdin, 1<<20))
	if err != nil || len(data) == 0 {
		return program, err
	}
	var any anypb.Any
	if err := proto.Unmarshal(data, &any); err != nil {
		return "", fmt.Errorf("decode options: %w", err)
	}
	o, err := task.ParseOptions(&any)
	if err != nil {
		return "", err
	}
	info.Options = &any
	if o.Program != "" {
		program = o.Program
	}
	return program, nil
}
