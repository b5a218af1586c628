package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

func newSpec(*global) *cobra.Command {
	bundle, rootless := "", false
	cmd := &cobra.Command{
		Use: "spec", Short: "create a new specification file",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := count(cmd, args, 0, 0); err != nil {
				return err
			}
			return runSpec(bundle, rootless)
		},
	}
	cmd.Flags().StringVarP(&bundle, "bundle", "b", "", "path to the root of the bundle directory")
	cmd.Flags().BoolVar(&rootless, "rootless", false, "generate a configuration for a rootless container")
	return cmd
}

func runSpec(bundle string, rootless bool) error {
	s := spec.Example()
	if layout, err := cgroup.Detect(); err == nil && layout.Mode() == cgroup.V2 { // on v1 a group cannot be hidden so
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	if rootless {
		s = spec.Rootless(s, uint32(os.Geteuid()), uint32(os.Getegid()))
	}
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(bundle, "config.json"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("file config.json exists. Remove it first")
	} else if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close())
}
