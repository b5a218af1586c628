package engine

import (
	"context"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	apievents "github.com/moby/moby/api/types/events"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

// Top runs the host's ps(1) and keeps the lines of the container's processes, as Docker does.
func (e *Engine) Top(ctx context.Context, ref, args string) (titles []string, rows [][]string, err error) {
	c, err := e.Get(ref)
	if err != nil {
		return nil, nil, err
	}
	if c.running() == nil {
		return nil, nil, fault.Conflict("container %s is not running", c.ID)
	}
	words := strings.Fields(args)
	if len(words) == 0 {
		words = []string{"-ef"}
	}
	pids, err := e.Tasks.Pids(ctx, c.ID)
	if err != nil {
		return nil, nil, err
	}
	out, err := exec.CommandContext(ctx, "ps", words...).Output()
	if err != nil {
		return nil, nil, fault.System("ps %s: %w", strings.Join(words, " "), err)
	}
	titles, rows, err = parsePs(string(out), pids)
	if err == nil {
		e.publish(c, apievents.ActionTop, nil)
	}
	return titles, rows, err
}

// parsePs finds the PID column and the lines; the last column takes the rest of its line.
func parsePs(out string, pids []int) ([]string, [][]string, error) {
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	titles := strings.Fields(lines[0])
	column := slices.Index(titles, "PID")
	if column < 0 {
		return nil, nil, fault.Invalid("Couldn't find PID field in ps output")
	}
	var rows [][]string
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		if len(fields) <= column {
			continue
		}
		pid, err := strconv.Atoi(fields[column])
		if err != nil || !slices.Contains(pids, pid) {
			continue
		}
		if n := len(titles); len(fields) > n {
			fields = append(fields[:n-1:n-1], strings.Join(fields[n-1:], " "))
		}
		rows = append(rows, fields)
	}
	return titles, rows, nil
}
