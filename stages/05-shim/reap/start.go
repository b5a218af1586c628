package reap

import (
	"fmt"
	"os/exec"
)

// Start starts a program of ours and holds it. Use the Process, not cmd.Wait.
func (r *Reaper) Start(cmd *exec.Cmd) (*Process, error) {
	defer r.Launching()()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p, err := r.Hold(cmd.Process.Pid)
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return nil, err
	}
	if err := cmd.Process.Release(); err != nil {
		return nil, fmt.Errorf("let go of process %d: %w", p.Pid, err)
	}
	return p, nil
}
