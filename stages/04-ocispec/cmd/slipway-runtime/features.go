package main

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/03-rootfs/enter"
	"github.com/slipway-engine/slipway/stages/04-ocispec/caps"
	"github.com/slipway-engine/slipway/stages/04-ocispec/seccomp"
)

func newFeatures(*global) *cobra.Command {
	return &cobra.Command{
		Use: "features", Short: "show the enabled features",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := count(cmd, args, 0, 0); err != nil {
				return err
			}
			if err := printJSON(cmd.OutOrStdout(), featureList()); err != nil {
				return err
			}
			_, err := cmd.OutOrStdout().Write([]byte("\n"))
			return err
		},
	}
}

// featureList is runtime-spec's features.md about this runtime.
func featureList() features.Features {
	yes := true
	options := enter.OptionWords()
	slices.Sort(options)
	var arches []string
	for _, a := range seccomp.Arches() {
		arches = append(arches, string(a))
	}
	return features.Features{
		OCIVersionMin: "1.0.0", OCIVersionMax: specs.Version,
		Hooks:        []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"},
		MountOptions: options,
		Annotations: map[string]string{ // the names that runc and crun have given them
			"org.opencontainers.runc.checkpoint.enabled": "true",
		},
		// the first is a prefix (features.md, "Unsafe annotations in config.json")
		PotentiallyUnsafeConfigAnnotations: []string{"org.systemd.property.", "org.criu.config"},
		Linux: &features.Linux{
			Namespaces:   []string{"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"},
			Capabilities: caps.Names(),
			Cgroup:       &features.Cgroup{V1: &yes, V2: &yes, Systemd: &yes, SystemdUser: &yes, Rdma: &yes},
			Seccomp: &features.Seccomp{
				Enabled: &yes,
				Actions: []string{
					"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
					"SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
				},
				Operators: []string{
					"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
				},
				Archs:          arches,
				KnownFlags:     seccomp.FlagNames(),
				SupportedFlags: seccomp.FlagNames(),
			},
			Apparmor: &features.Apparmor{Enabled: &yes}, Selinux: &features.Selinux{Enabled: &yes}, IntelRdt: &features.IntelRdt{Enabled: &yes, Schemata: &yes, Monitoring: &yes},
			NetDevices: &features.NetDevices{Enabled: &yes}, MemoryPolicy: &features.MemoryPolicy{
				Modes: []string{
					string(specs.MpolDefault), string(specs.MpolBind), string(specs.MpolInterleave), string(specs.MpolLocal),
					string(specs.MpolPreferred), string(specs.MpolPreferredMany), string(specs.MpolWeightedInterleave),
				},
				Flags: []string{string(specs.MpolFStaticNodes), string(specs.MpolFRelativeNodes), string(specs.MpolFNumaBalancing)},
			},
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &yes}},
		},
	}
}
