package runflags

import (
	"fmt"

	"github.com/moby/moby/api/types/container"
)

// health compiles --health-*; nothing is sent where nothing was asked, so that the image's own check holds.
func (f *Flags) health(r *Request, _ Sources) error {
	asked := f.HealthCmd != "" || f.HealthInterval != 0 || f.HealthTimeout != 0 || f.HealthStartPeriod != 0 || f.HealthStartInterval != 0 || f.HealthRetries != 0
	if f.NoHealthcheck {
		if asked {
			return fmt.Errorf("--no-healthcheck conflicts with --health-* options")
		}
		r.Config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
		return nil
	}
	if !asked {
		return nil
	}
	if f.HealthInterval < 0 || f.HealthTimeout < 0 || f.HealthStartPeriod < 0 || f.HealthStartInterval < 0 || f.HealthRetries < 0 {
		return fmt.Errorf("--health-* options cannot be negative")
	}
	r.Config.Healthcheck = &container.HealthConfig{
		Interval: f.HealthInterval, Timeout: f.HealthTimeout, StartPeriod: f.HealthStartPeriod,
		StartInterval: f.HealthStartInterval, Retries: f.HealthRetries,
	}
	if f.HealthCmd != "" {
		r.Config.Healthcheck.Test = []string{"CMD-SHELL", f.HealthCmd}
	}
	return nil
}
