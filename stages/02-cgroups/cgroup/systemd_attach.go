package cgroup

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/slipway-engine/slipway/stages/02-cgroups/dbus"
)

// Unit is the systemd unit behind the group in the form that [Layout.Group] took, "SLICE:PREFIX:NAME"; "" if the
// group is just a directory.
func (g *Group) Unit() string {
	if g.unit == nil {
		return ""
	}
	return g.unit.text
}

// WithProperties returns the same group whose unit gets further properties when it is created
// (systemd.resource-control(5), systemd.scope(5)). With another driver there is nothing to do.
func (g *Group) WithProperties(extra dbus.Properties) *Group {
	if g.unit == nil || len(extra) == 0 {
		return g
	}
	o, u := *g, *g.unit
	u.extra = extra
	o.unit = &u
	return &o
}

// MovesIn reports whether a process can come into the group only by [Group.MoveIn]: the caller may not move
// processes there itself, because the group that both lie in is not its own (cgroup-v2.rst, "Delegation
// Containment"). So it is for an ordinary user's systemd: the user's session is beside the user's manager.
func (g *Group) MovesIn() bool { return g.unit != nil && dbus.Self() != 0 }

// MoveIn has systemd move a process of the caller's user into the group, or into the one at path sub below it. The
// user's manager has the system's do it, where it may not itself (AttachProcessesToUnit,
// org.freedesktop.systemd1(5)). With another driver it is [Group.Join].
func (g *Group) MoveIn(sub string, pid int) error {
	if g.unit == nil {
		return g.Join(pid)
	}
	defer g.Settle()
	return withSystemd(context.Background(), func(ctx context.Context, s systemd) error {
		if sub == "" {
			sub = "/"
		}
		if _, err := s.call(ctx, "AttachProcessesToUnit", g.unit.name, sub, []uint32{uint32(pid)}); err != nil {
			return fmt.Errorf("cgroup %s: move process %d in: %w", g.path, pid, err)
		}
		return nil
	})
}

// knowsIdle takes a CPUWeight of 0, which means cpu.idle, out for a systemd before 252: it would refuse it, and
// leaves the file alone.
func (s systemd) knowsIdle(ctx context.Context, props dbus.Properties) (dbus.Properties, error) {
	for i, p := range props {
		if p.Name != "CPUWeight" || p.Value != uint64(0) {
			continue
		}
		version, err := s.version(ctx)
		if err == nil && version < 252 {
			return append(props[:i:i], props[i+1:]...), nil
		}
		return props, err
	}
	return props, nil
}

// version reads the number at the front of "252.39-1~deb12u1".
func (s systemd) version(ctx context.Context) (int, error) {
	reply, err := s.conn.Call(ctx, dbus.Call{
		Destination: "org.freedesktop.systemd1", Path: "/org/freedesktop/systemd1", Interface: "org.freedesktop.DBus.Properties",
		Member: "Get", Args: []any{"org.freedesktop.systemd1.Manager", "Version"},
	})
	if err != nil || len(reply) != 1 {
		return 0, errors.Join(err, errors.New("systemd does not tell its version"))
	}
	text, _ := reply[0].(string)
	return leadingNumber(text), nil
}

func leadingNumber(text string) int {
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	n, _ := strconv.Atoi(text[:end]) // 0 for none: older than all
	return n
}
