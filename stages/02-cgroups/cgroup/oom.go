package cgroup

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// OOM tells when the group runs out of memory: one value for one event or for several close together. The
// channel is closed when ctx ends or the group goes away. The number of victims is [Group.OOMKills].
func (g *Group) OOM(ctx context.Context) (<-chan struct{}, error) {
	p, ok := g.at("memory")
	if !ok {
		return nil, &NoControllerError{Controller: "memory", For: "out-of-memory events", Why: "no mounted hierarchy has it"}
	}
	if p.tree.version == 1 {
		return p.oomV1(ctx)
	}
	return p.oomV2(ctx)
}

// OOMKills counts the processes that the kernel has killed in the group and below it because memory ran out. v1
// counts in the one group alone, so a group below that was removed takes its count with it.
func (g *Group) OOMKills() (uint64, error) {
	p, ok := g.at("memory")
	if !ok {
		return 0, &NoControllerError{Controller: "memory", For: "the count of OOM kills", Why: "no mounted hierarchy has it"}
	}
	if p.tree.version == 1 {
		return p.oomKillsV1()
	}
	data, err := p.read("memory.events")
	return flatKeyed(data)["oom_kill"], err
}

func (p place) oomKillsV1() (uint64, error) {
	data, err := p.read("memory.oom_control")
	if err != nil {
		return 0, err
	}
	sum := flatKeyed(data)["oom_kill"]
	below, err := p.children()
	for _, c := range below {
		n, err := c.oomKillsV1()
		if err != nil && !gone(err) {
			return 0, err
		}
		sum += n
	}
	return sum, ignoreGone(err)
}

// oomV1 registers an eventfd (cgroup-v1/memory.rst, "OOM Control"). The kernel also signals it when the group
// is removed.
func (p place) oomV1(ctx context.Context) (<-chan struct{}, error) {
	control, err := p.open("memory.oom_control", unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	events := os.NewFile(uintptr(fd), "memory.oom_control of "+p.String())
	if err := p.write("cgroup.event_control", fmt.Sprintf("%d %d", fd, control.Fd())); err != nil {
		events.Close()
		return nil, err
	}
	return watch(ctx, events, func(buf []byte) (oom, over bool) {
		over = !p.exists()
		return !over, over
	}), nil
}

// oomV2 watches memory.events, and the directory above for the group's removal (inotify(7)).
func (p place) oomV2(ctx context.Context) (<-chan struct{}, error) {
	kills, err := p.oomKills()
	if err != nil {
		return nil, err
	}
	events, err := p.inotify("memory.events")
	if err != nil {
		return nil, err
	}
	return watch(ctx, events, func(buf []byte) (oom, over bool) {
		now, err := p.oomKills()
		if err != nil {
			return false, true
		}
		oom, kills = now > kills, now
		return oom, false
	}), nil
}

// oomKills counts kills and, where the kernel only refuses, refusals.
func (p place) oomKills() (uint64, error) {
	data, err := p.read("memory.events")
	events := flatKeyed(data)
	return events["oom"] + events["oom_kill"], err
}

// watch adds an inotify watch by descriptor, so that the path cannot be exchanged on the way.
func (p place) watch(inotify int, file string, mask uint32) error {
	fd, err := p.openFD(file, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(inotify, fmt.Sprintf("/proc/self/fd/%d", fd), mask); err != nil {
		return p.fail("inotify_add_watch", file, err)
	}
	return nil
}

// watch turns readiness of a non-blocking descriptor into values on a channel. The goroutine ends with ctx,
// or when judge says that it is over.
func watch(ctx context.Context, events *os.File, judge func([]byte) (oom, over bool)) <-chan struct{} {
	out := make(chan struct{}, 1)
	stop := context.AfterFunc(ctx, func() { events.Close() })
	go func() {
		defer close(out)
		defer stop()
		defer events.Close()
		buf := make([]byte, 4096)
		for {
			n, err := events.Read(buf)
			if err != nil {
				return
			}
			oom, over := judge(buf[:n])
			if over {
				return
			}
			if oom {
				select {
				case out <- struct{}{}:
				default: // one is waiting already
				}
			}
		}
	}()
	return out
}
