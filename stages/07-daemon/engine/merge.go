package engine

import (
	"maps"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/slipway-engine/slipway/stages/07-daemon/ociconfig"
)

// Merge fills in what the user left to the image. The user's entrypoint replaces the image's command as well,
// because the command was meant for the image's entrypoint.
func Merge(user container.Config, img dockerspec.DockerOCIImageConfig) container.Config {
	out := user
	if len(out.Entrypoint) == 0 {
		if len(out.Cmd) == 0 {
			out.Cmd = img.Cmd
		}
		if out.Entrypoint == nil {
			out.Entrypoint = img.Entrypoint
		}
	}
	if len(out.Entrypoint) == 1 && out.Entrypoint[0] == "" { // --entrypoint ""
		out.Entrypoint = nil
	}
	out.Env = ociconfig.MergeEnv(img.Env, user.Env)
	if out.User == "" {
		out.User = img.User
	}
	if out.WorkingDir == "" {
		out.WorkingDir = img.WorkingDir
	}
	if out.StopSignal == "" {
		out.StopSignal = img.StopSignal
	}
	if out.Healthcheck == nil {
		out.Healthcheck = img.Healthcheck
	}
	out.Labels = map[string]string{}
	for k, v := range img.Labels {
		if !strings.HasPrefix(k, ociconfig.ReservedPrefix) {
			out.Labels[k] = v
		}
	}
	maps.Copy(out.Labels, user.Labels)
	out.ExposedPorts = mergePorts(user.ExposedPorts, img.ExposedPorts)
	if len(img.Volumes) > 0 {
		out.Volumes = maps.Clone(img.Volumes)
		maps.Copy(out.Volumes, user.Volumes)
	}
	return out
}

func mergePorts(user network.PortSet, img map[string]struct{}) network.PortSet {
	out := network.PortSet{}
	maps.Copy(out, user)
	for text := range img {
		if p, err := network.ParsePort(text); err == nil {
			out[p] = struct{}{}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
