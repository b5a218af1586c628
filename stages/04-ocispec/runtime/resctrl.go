package runtime

import (
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/04-ocispec/resctrl"
)

// resourceControl names the class of service that config.json asks for; nil when it asks for none.
func resourceControl(s *specs.Spec, id string) (*resctrl.Group, error) {
	if s.Linux.IntelRdt == nil {
		return nil, nil
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	root, err := resctrl.FindRoot(string(text))
	if err != nil {
		return nil, err
	}
	return resctrl.New(root, id, s.Linux.IntelRdt), nil
}
