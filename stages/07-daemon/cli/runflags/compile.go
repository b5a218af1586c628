package runflags

import (
	"errors"
	"fmt"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Sources are what compiling needs from the world.
type Sources struct {
	ReadFile  func(string) ([]byte, error)
	LookupEnv func(string) (string, bool)
	Abs       func(string) (string, error) // makes the host side of `-v ./dir:/x` absolute
}

// Request is a create request, ready to be sent.
type Request struct {
	Name             string
	Config           *container.Config
	HostConfig       *container.HostConfig
	NetworkingConfig *network.NetworkingConfig
	Platform         *ocispec.Platform
}

// Compile turns flags, the image and the command after it into a request.
func (f *Flags) Compile(args []string, from Sources) (*Request, error) {
	if len(args) == 0 {
		return nil, errors.New("an image is required")
	}
	r := &Request{
		Name:             f.Name,
		Config:           &container.Config{Image: args[0], Cmd: args[1:]},
		HostConfig:       &container.HostConfig{},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{}},
	}
	if len(r.Config.Cmd) == 0 {
		r.Config.Cmd = nil
	}
	for _, subject := range []func(*Request, Sources) error{
		f.process, f.streams, f.lifecycle, f.limits, f.blockIO, f.mounts, f.ports, f.network, f.names, f.security, f.health,
	} {
		if err := subject(r, from); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// platform reads os/arch[/variant].
func platform(text string) (*ocispec.Platform, error) {
	if text == "" {
		return nil, nil
	}
	parts := strings.Split(text, "/")
	if len(parts) > 3 || parts[0] == "" {
		return nil, fmt.Errorf("error parsing specified platform: %q: unknown operating system or architecture: invalid argument", text)
	}
	if len(parts) == 1 { // an architecture alone, as containerd's platforms reads it
		return &ocispec.Platform{OS: "linux", Architecture: parts[0]}, nil
	}
	p := &ocispec.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p, nil
}

// ParsePlatform reads os/arch[/variant]; an empty text is no platform.
func ParsePlatform(text string) (*ocispec.Platform, error) { return platform(text) }
