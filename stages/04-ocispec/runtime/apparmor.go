package runtime

import (
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
)

// canEnforce refuses a profile that nothing would hold the process to.
func canEnforce(p *specs.Process, f plan.Facts) error {
	if p.ApparmorProfile != "" && !f.AppArmor {
		return errors.New("process.apparmorProfile: AppArmor is not enabled on this machine")
	}
	return nil
}

// profileError says what the kernel means by ENOENT when it is asked for a profile.
func profileError(step string, err error) error {
	if strings.HasPrefix(step, "enter AppArmor profile ") && errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%w: no profile of that name is loaded (apparmor_parser(8))", err)
	}
	return err
}
