// Package doctor finds out what a machine can do by trying it, and says what
// each lack means for which stage.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

// Check is one thing that the stages need.
type Check struct {
	Name    string
	Stages  string // "4 to 7"
	Affects string // the exercises that cannot be shown without it
	Vital   bool   // without it those stages do not work at all
	Remedy  string
	VM      bool                   // a virtual machine would stand in
	Clone   uintptr                // namespaces in which Try runs, in a process of its own
	Try     func() (string, error) // the evidence, or why not
	Outside bool                   // Try runs in this process
}

// Finding is what became of a check.
type Finding struct {
	Name     string `json:"name"`
	Result   string `json:"result"` // ok, degraded, missing
	Evidence string `json:"evidence"`
	Stages   string `json:"stages"`
	Affects  string `json:"affects,omitempty"`
	Remedy   string `json:"remedy,omitempty"`
	VM       bool   `json:"vm_helps,omitempty"`
}

// Examine runs every check. probe is this program's own command that runs one
// check by name, in a process that new namespaces can be given to.
func Examine(ctx context.Context, probe []string) []Finding {
	var all []Finding
	for _, c := range Checks() {
		var evidence string
		var err error
		if c.Outside {
			evidence, err = c.Try()
		} else {
			evidence, err = apart(ctx, append(probe[1:len(probe):len(probe)], c.Name), probe[0], c.Clone)
		}
		f := Finding{Name: c.Name, Result: "ok", Evidence: evidence, Stages: c.Stages}
		if err != nil {
			f.Result, f.Evidence, f.Affects, f.Remedy, f.VM = "degraded", err.Error(), c.Affects, c.Remedy, c.VM
			switch {
			case os.Geteuid() != 0 && errors.Is(err, fs.ErrPermission): // root might: that is another finding
				f.Remedy, f.VM = "run as root: sudo make doctor tells more", false
			case c.Vital:
				f.Result = "missing"
			}
		}
		all = append(all, f)
	}
	return all
}

// Probe runs one check in this process, for Examine in another.
func Probe(name string) (string, error) {
	for _, c := range Checks() {
		if c.Name == name {
			return c.Try()
		}
	}
	return "", fmt.Errorf("no check %q", name)
}

func apart(ctx context.Context, args []string, program string, clone uintptr) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: clone, Pdeathsig: syscall.SIGKILL}
	as := ""
	if id := os.Geteuid(); id != 0 && clone&syscall.CLONE_NEWUSER == 0 {
		// An ordinary user may do all of it as the root of a user namespace.
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
		as = ", as root of a user namespace"
	}
	out, err := cmd.Output()
	if e, ok := errors.AsType[*exec.ExitError](err); ok && len(e.Stderr) > 0 {
		return "", errors.New(string(e.Stderr))
	}
	return string(out) + as, err
}

// Code is the exit status: 0 everything works, 1 something is degraded, 2
// something vital is missing.
func Code(all []Finding) int {
	code := 0
	for _, f := range all {
		switch f.Result {
		case "missing":
			code = 2
		case "degraded":
			code = max(code, 1)
		}
	}
	return code
}

func tempDir(try func(dir string) (string, error)) (string, error) {
	dir, err := os.MkdirTemp("", "slipway-doctor-")
	if err != nil {
		return "", err
	}
	evidence, err := try(dir)
	return evidence, errors.Join(err, os.RemoveAll(dir))
}
