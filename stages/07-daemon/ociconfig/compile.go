package ociconfig

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// SpecVersion is what we write as ociVersion: the oldest that has everything we use, so that every runtime takes it.
const SpecVersion = "1.1.0"

// ReservedPrefix marks annotations that are instructions to our shim. Users' ones may not begin with it: control
// data and user data never share a map (CVE-2026-53488).
const ReservedPrefix = "io.slipway."

// SidecarAnnotation carries the command line of the process that the shim keeps beside the container.
const SidecarAnnotation = ReservedPrefix + "sidecar"

// compiler is one compilation; its methods fill in parts of spec, in the order in which Compile calls them.
type compiler struct {
	c        Container
	h        Host
	spec     *specs.Spec
	warnings []string
}

// Compile returns config.json for a container. It reads nothing but its arguments.
func Compile(c Container, h Host) (Result, error) {
	k := &compiler{c: c, h: h, spec: &specs.Spec{
		Version:  SpecVersion,
		Root:     &specs.Root{Path: "rootfs", Readonly: c.HostConfig.ReadonlyRootfs},
		Hostname: c.Hostname,
		Process:  &specs.Process{},
		Linux:    &specs.Linux{CgroupsPath: c.CgroupPath, Resources: &specs.LinuxResources{}},
	}}
	for _, part := range []func() error{
		k.process,
		k.capabilities,
		k.namespaces,
		k.mounts,
		k.sysctls,
		k.resources,
		k.devices,
		k.security, // after capabilities: the seccomp profile depends on the final set
		k.annotations,
	} {
		if err := part(); err != nil {
			return Result{}, err
		}
	}
	return Result{Spec: k.spec, Warnings: k.warnings}, nil
}

func (k *compiler) warn(format string, args ...any) {
	k.warnings = append(k.warnings, fmt.Sprintf(format, args...))
}

func (k *compiler) annotations() error {
	a := maps.Clone(k.c.HostConfig.Annotations)
	for name := range a {
		if strings.HasPrefix(name, ReservedPrefix) {
			return fmt.Errorf("annotation %q: the prefix %q is reserved for the engine", name, ReservedPrefix)
		}
	}
	if len(k.c.Sidecar) > 0 {
		value, err := json.Marshal(map[string][]string{"args": k.c.Sidecar})
		if err != nil {
			return err
		}
		if a == nil {
			a = map[string]string{}
		}
		a[SidecarAnnotation] = string(value)
	}
	k.spec.Annotations = a
	return nil
}
