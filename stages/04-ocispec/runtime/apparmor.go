package runtime

import (
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
)

// canEnforce refuses a profile or a label that nothing would hold the process to.
func canEnforce(s *specs.Spec, f plan.Facts) error {
	p := s.Process
	switch {
	case (p.SelinuxLabel != "" || s.Linux != nil && s.Linux.MountLabel != "") && !f.SELinux:
		return errors.New("selinux label is specified in config, but selinux is disabled or not supported")
	case p.SelinuxLabel != "" && p.ApparmorProfile != "":
		return errors.New("process.selinuxLabel and process.apparmorProfile: the kernel takes one of them at execve")
	}
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
