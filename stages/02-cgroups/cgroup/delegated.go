package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Delegated is the highest group below which the caller may make groups and move itself: the root for root;
// for an ordinary user the top of the subtree that was given to that user ("Delegate=yes" of a systemd unit, or a
// chown of the directory, cgroup.procs, cgroup.threads and cgroup.subtree_control: cgroup-v2.rst, "Delegation").
// Where nothing was given the error is fs.ErrPermission. On v1 delegation is unsafe and not looked for
// (https://systemd.io/CGROUP_DELEGATION/): only the root is found there.
func (l *Layout) Delegated() (*Group, error) {
	root, err := l.Group("/")
	if err != nil {
		return nil, err
	}
	if root.writable() {
		return root, nil
	}
	nothing := fmt.Errorf("no part of the cgroup tree (%s) is given to user %d: %w", l.mode, os.Geteuid(), fs.ErrPermission)
	if l.mode != V2 {
		return nil, nothing
	}
	own, err := l.Of(os.Getpid())
	if err != nil {
		return nil, err
	}
	var found *Group
	for at := own; at.path != "/"; {
		if at.writable() {
			found = at
		} else if found != nil {
			break // one above a gap is of no use: processes cannot be moved across it
		}
		if at, err = l.Group(path.Dir(at.path)); err != nil {
			return nil, err
		}
	}
	if found == nil {
		return nil, nothing
	}
	return found, nil
}

// writable asks for the group's directory and its list of processes, everywhere.
func (g *Group) writable() bool { return g.mayWrite(".", "cgroup.procs") }

func (g *Group) mayWrite(files ...string) bool {
	for _, p := range g.places {
		for _, file := range files {
			_, err := p.do(func(root int) (int, error) {
				return 0, unix.Faccessat(root, path.Join(p.rel, file), unix.W_OK, unix.AT_EACCESS)
			})
			if err != nil {
				return false
			}
		}
	}
	return true
}

// Vacate moves the group's own processes into a new child of it, so that the group can pass controllers on: a v2
// group with processes may not ("no internal processes"). It is what whoever is given a subtree does first, as
// systemd's manager of a user does with init.scope. New ones that come meanwhile are moved, too.
func (g *Group) Vacate(child string) error {
	to, err := g.layout.Group(path.Join(g.path, child))
	if err != nil {
		return err
	}
	if path.Dir(to.path) != g.path {
		return fmt.Errorf("vacate cgroup %s: %q is no name of a child", g.path, child)
	}
	if err := to.Create(); err != nil {
		return err
	}
	for range 10 {
		pids, err := g.Pids()
		if err != nil || len(pids) == 0 {
			return errors.Join(err, g.passAllOn())
		}
		for _, pid := range pids {
			if err := to.Join(pid); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("vacate cgroup %s: move process %s: %w", g.path, strconv.Itoa(pid), err)
			}
		}
	}
	return fmt.Errorf("vacate cgroup %s: processes keep coming", g.path)
}

// passAllOn gives a v2 group's children all controllers that it has itself.
func (g *Group) passAllOn() error {
	p, ok := g.unified()
	if !ok {
		return nil
	}
	have, err := p.read("cgroup.controllers")
	if err != nil {
		return err
	}
	return p.passOn(strings.Fields(have))
}
