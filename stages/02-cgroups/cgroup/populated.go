package cgroup

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pollEvery is how often v1 is asked whether a group is empty. v1 can announce it only to a program that it
// starts for the whole machine (release_agent; CVE-2022-0492), which is no way for a library.
const pollEvery = 50 * time.Millisecond

// Populated tells whether there are processes in the group or below it: how it is now, and then each change, the
// latest replacing one that nobody has taken yet. The channel is closed when ctx ends or the group goes away. On
// v2 the kernel tells (cgroup.events); on v1 the group is asked every 50 ms, so that a shorter visit can be missed.
func (g *Group) Populated(ctx context.Context) (<-chan bool, error) {
	first, err := g.isPopulated()
	if err != nil {
		return nil, err
	}
	out := make(chan bool, 1)
	out <- first
	if g.layout.mode != V2 {
		go g.poll(ctx, out, first)
		return out, nil
	}
	events, err := g.places[0].inotify("cgroup.events")
	if err != nil {
		return nil, err
	}
	changes := watch(ctx, events, func([]byte) (changed, over bool) { return true, !g.Exists() })
	go g.tell(changes, out, first)
	return out, nil
}

// tell looks again after each event: the group may have changed before the watch was in place, so at once, too.
func (g *Group) tell(changes <-chan struct{}, out chan bool, last bool) {
	defer close(out)
	for open := true; open; _, open = <-changes {
		now, err := g.isPopulated()
		if err != nil {
			return
		}
		last = replace(out, last, now)
	}
}

func (g *Group) poll(ctx context.Context, out chan bool, last bool) {
	defer close(out)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := g.isPopulated()
		if err != nil {
			return
		}
		last = replace(out, last, now)
	}
}

// replace puts a change into the channel, in place of an older one.
func replace(out chan bool, last, now bool) bool {
	if now == last {
		return now
	}
	select {
	case <-out:
	default:
	}
	out <- now // the only sender: there is room
	return now
}

// isPopulated asks once. v2 keeps count of the whole subtree, and of processes that the caller cannot see; on v1
// the lists of the subtree are read.
func (g *Group) isPopulated() (bool, error) {
	//ex:begin cg.events
	if p, ok := g.unified(); ok && g.layout.mode == V2 {
		events, err := p.read("cgroup.events")
		return flatKeyed(events)["populated"] == 1, err
	}
	pids, err := g.AllPids()
	return len(pids) > 0, err
	//ex:stub
	// return false, todo.Exercise("cg.events")
	//ex:end cg.events
}

// inotify watches a file of the group for changes, and the directory above for the group's removal (inotify(7)).
func (p place) inotify(file string) (*os.File, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	events := os.NewFile(uintptr(fd), file+" of "+p.String())
	up, _ := p.parent()
	for _, w := range []struct {
		at   place
		file string
		mask uint32
	}{{p, file, unix.IN_MODIFY}, {up, ".", unix.IN_DELETE | unix.IN_ONLYDIR}} {
		if err := w.at.watch(fd, w.file, w.mask); err != nil {
			events.Close()
			return nil, err
		}
	}
	return events, nil
}
