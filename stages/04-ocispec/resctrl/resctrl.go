// Package resctrl puts a container into a class of service of the resource control file system (Intel RDT: kernel
// Documentation/filesystems/resctrl.rst; runtime-spec config-linux.md, "Intel RDT"): a directory whose schemata file shares
// out cache and memory bandwidth, and whose tasks file lists who is in it.
package resctrl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// ErrDisabled says that no resource control file system is mounted.
var ErrDisabled = errors.New("intelRdt is specified in config, but Intel RDT is not supported or enabled")

// FindRoot reads the mount point out of the text of /proc/self/mountinfo (proc_pid_mountinfo(5)).
func FindRoot(mountinfo string) (string, error) {
	for line := range strings.Lines(mountinfo) {
		left, right, _ := strings.Cut(line, " - ")
		if f := strings.Fields(left); len(f) > 4 && strings.HasPrefix(right, "resctrl ") {
			return f[4], nil
		}
	}
	return "", ErrDisabled
}

// Group is the class of service of one container, and its monitoring group.
type Group struct {
	Dir     string   // the class
	Monitor string   // the monitoring group; empty: none
	Own     bool     // the class is the container's alone: it goes with it
	lines   []string // of schemata
}

// New names a container's group below root. Nothing is made yet.
func New(root, id string, c *specs.LinuxIntelRdt) *Group {
	g := &Group{Dir: filepath.Join(root, id), Own: true}
	if c.ClosID != "" {
		g.Dir, g.Own = filepath.Join(root, c.ClosID), false
	}
	if c.EnableMonitoring {
		g.Monitor = filepath.Join(g.Dir, "mon_groups", id)
	}
	for _, text := range append(slices.Clone(c.Schemata), c.L3CacheSchema, c.MemBwSchema) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" {
				g.lines = append(g.lines, line)
			}
		}
	}
	return g
}

// Join makes what is missing and puts a process into it. When it fails, what it made is gone again.
func (g *Group) Join(pid int) (err error) {
	made, err := g.class()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && made {
			err = errors.Join(err, remove(g.Dir))
		}
	}()
	if made {
		if err := g.write("schemata", strings.Join(g.lines, "\n")+"\n"); err != nil && len(g.lines) > 0 {
			return err
		}
	} else if err := g.agrees(); err != nil {
		return err
	}
	if err := g.write("tasks", strconv.Itoa(pid)); err != nil {
		return err
	}
	if g.Monitor == "" {
		return nil
	}
	if err := os.Mkdir(g.Monitor, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.WriteFile(filepath.Join(g.Monitor, "tasks"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		return errors.Join(err, remove(g.Monitor))
	}
	return nil
}

// class makes the directory. One that is named and asks for nothing must be there already (config-linux.md, closID).
func (g *Group) class() (made bool, err error) {
	if !g.Own && len(g.lines) == 0 {
		if _, err := os.Stat(g.Dir); err != nil {
			return false, fmt.Errorf("linux.intelRdt.closID: %w", err)
		}
		return false, nil
	}
	err = os.Mkdir(g.Dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// agrees refuses to share a class that is cut otherwise: to change it would change it for all who are in it.
func (g *Group) agrees() error {
	if len(g.lines) == 0 {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(g.Dir, "schemata"))
	if err != nil {
		return err
	}
	var have []string
	for line := range strings.Lines(string(text)) {
		have = append(have, normal(line))
	}
	for _, line := range g.lines {
		if !slices.Contains(have, normal(line)) {
			return fmt.Errorf("linux.intelRdt: class %s is there and does not have %q", g.Dir, line)
		}
	}
	return nil
}

// normal is a schema line without spaces: the kernel pads names and numbers.
func normal(line string) string { return strings.Join(strings.Fields(line), "") }

// write says what the kernel thought of it: its errno is the same for all mistakes, the text is in info/last_cmd_status.
func (g *Group) write(name, text string) error {
	err := os.WriteFile(filepath.Join(g.Dir, name), []byte(text), 0o600)
	if err == nil {
		return nil
	}
	if status, readErr := os.ReadFile(filepath.Join(filepath.Dir(g.Dir), "info", "last_cmd_status")); readErr == nil {
		return fmt.Errorf("linux.intelRdt: %w (%s)", err, strings.TrimSpace(string(status)))
	}
	return fmt.Errorf("linux.intelRdt: %w", err)
}

// Change writes other shares into a class that is the container's alone; what lines do not name stays.
func (g *Group) Change(lines ...string) error {
	if !g.Own {
		return fmt.Errorf("linux.intelRdt: class %s is not the container's alone (closID)", g.Dir)
	}
	return g.write("schemata", strings.Join(lines, "\n")+"\n")
}

// Add puts one more process into the class.
func (g *Group) Add(pid int) error { return g.write("tasks", strconv.Itoa(pid)) }

// Remove takes away what belongs to the container alone.
func (g *Group) Remove() error {
	var err error
	if g.Monitor != "" {
		err = remove(g.Monitor)
	}
	if g.Own {
		err = errors.Join(err, remove(g.Dir))
	}
	return err
}

func remove(dir string) error {
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
