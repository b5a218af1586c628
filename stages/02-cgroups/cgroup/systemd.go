package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/slipway-engine/slipway/stages/02-cgroups/dbus"
)

// patience is how long systemd may take over one request; it answers in milliseconds unless it is reloading.
const patience = 30 * time.Second

// keeper is a process that waits in a new scope until another one has come: systemd starts no scope without a
// process, and ends one whose last process has left. It ends with whoever made it, at the latest.
type keeper struct {
	mu   sync.Mutex // guards the rest
	in   io.Closer  // its input; nil: there is none, or it has been sent away
	gone chan struct{}
}

func (k *keeper) start() (pid int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	cmd := exec.Command("cat") // ends when its input does
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, errors.Join(fmt.Errorf("start a process to keep the scope: %w", err), in.Close())
	}
	gone := make(chan struct{})
	k.in, k.gone = in, gone
	go func() { // ends with the process
		defer close(gone)
		cmd.Wait() // its status says nothing: it may have been killed with its group
	}()
	return cmd.Process.Pid, nil
}

// end does not wait long: a process that is frozen leaves once it is thawed.
func (k *keeper) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.in == nil {
		return
	}
	k.in.Close() // an error says that it has gone already
	k.in = nil
	select {
	case <-k.gone:
	case <-time.After(100 * time.Millisecond):
	}
}

// Settle ends the process that holds a new systemd scope open. Whoever starts a process by [Group.Birth] calls
// it afterwards; [Group.Join] has done so. Without any process in it the scope ends, and with it the group. With
// another driver there is nothing to do.
func (g *Group) Settle() {
	if g.unit != nil {
		g.keeper.end()
	}
}

// systemd is one conversation with the manager of the system, or of the user.
type systemd struct{ conn *dbus.Conn }

// withSystemd holds a conversation.
func withSystemd(ctx context.Context, talk func(context.Context, systemd) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("systemd does not answer within %s", patience))
	defer cancel()
	conn, err := dbus.Dial(ctx, systemdAddresses(dbus.Self(), os.Getenv))
	if err != nil {
		return fmt.Errorf("systemd: %w", err)
	}
	return errors.Join(talk(ctx, systemd{conn}), conn.Close())
}

// systemdAddresses: the bus first, then the private socket that systemctl uses where there is no bus.
func systemdAddresses(uid int, env func(string) string) string {
	if uid == 0 {
		bus := env("DBUS_SYSTEM_BUS_ADDRESS")
		if bus == "" {
			bus = "unix:path=/run/dbus/system_bus_socket"
		}
		return bus + ";peer:path=/run/systemd/private"
	}
	dir := env("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = fmt.Sprintf("/run/user/%d", uid)
	}
	bus := env("DBUS_SESSION_BUS_ADDRESS")
	if bus == "" {
		bus = "unix:path=" + dir + "/bus"
	}
	return bus + ";peer:path=" + dir + "/systemd/private"
}

func (s systemd) call(ctx context.Context, member string, args ...any) ([]any, error) {
	reply, err := s.conn.Call(ctx, dbus.Call{
		Destination: "org.freedesktop.systemd1", Path: "/org/freedesktop/systemd1",
		Interface: "org.freedesktop.systemd1.Manager", Member: member, Args: args,
	})
	if err != nil {
		return nil, fmt.Errorf("systemd: %w", err)
	}
	return reply, nil
}

// refusedAs reports whether systemd refused with this error.
func refusedAs(err error, name string) bool {
	e, ok := errors.AsType[*dbus.Error](err)
	return ok && e.Name == name
}

const (
	noSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"
	unitExists = "org.freedesktop.systemd1.UnitExists"
)

// state is a unit's ActiveState; "" if systemd does not know the unit.
func (s systemd) state(ctx context.Context, unit string) (string, error) {
	reply, err := s.call(ctx, "GetUnit", unit)
	if refusedAs(err, noSuchUnit) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if len(reply) != 1 {
		return "", fmt.Errorf("systemd: GetUnit %s: %d values", unit, len(reply))
	}
	object, _ := reply[0].(dbus.Path)
	reply, err = s.conn.Call(ctx, dbus.Call{
		Destination: "org.freedesktop.systemd1", Path: object, Interface: "org.freedesktop.DBus.Properties",
		Member: "Get", Args: []any{"org.freedesktop.systemd1.Unit", "ActiveState"},
	})
	if refusedAs(err, "org.freedesktop.DBus.Error.UnknownObject") { // it went in between
		return "", nil
	}
	if err != nil || len(reply) != 1 {
		return "", fmt.Errorf("systemd: ActiveState of %s: %w", unit, err)
	}
	state, _ := reply[0].(string)
	return state, nil
}

// until asks for the state, ever more slowly, until it is what is wanted.
func (s systemd) until(ctx context.Context, unit string, done func(state string) bool) error {
	wait := backoff{next: time.Millisecond, max: 100 * time.Millisecond}
	for {
		state, err := s.state(ctx, unit)
		if err != nil || done(state) {
			return err
		}
		if state == "failed" {
			return fmt.Errorf("systemd: unit %s failed", unit)
		}
		if wait.sleep(ctx) != nil {
			return fmt.Errorf("systemd: unit %s stays %q: %w", unit, state, context.Cause(ctx))
		}
	}
}

// createUnit has systemd make the group. A failed unit of the same name, which keeps the name taken, is
// forgotten first.
func (g *Group) createUnit() error {
	return withSystemd(context.Background(), func(ctx context.Context, s systemd) error {
		state, err := s.state(ctx, g.unit.name)
		if err != nil || state == "active" {
			return err
		}
		if state == "deactivating" { // the one before has just ended
			if err := s.until(ctx, g.unit.name, func(state string) bool { return state != "deactivating" }); err != nil {
				return err
			}
		}
		props := g.unitProperties()
		if !g.unit.isSlice() {
			pid, err := g.keeper.start()
			if err != nil {
				return err
			}
			props = append(props, dbus.Property{Name: "PIDs", Value: []uint32{uint32(pid)}})
		}
		err = s.start(ctx, g.unit.name, props)
		if err == nil {
			_, err = g.makeEverywhere() // systemd knows only some hierarchies, and only some controllers
		}
		if err != nil {
			g.keeper.end()
			return fmt.Errorf("create cgroup %s: %w", g.path, err)
		}
		return nil
	})
}

func (s systemd) start(ctx context.Context, unit string, props dbus.Properties) error {
	_, err := s.call(ctx, "StartTransientUnit", unit, "fail", props, dbus.Units{})
	if refusedAs(err, unitExists) {
		if _, err := s.call(ctx, "ResetFailedUnit", unit); err != nil {
			return err
		}
		_, err = s.call(ctx, "StartTransientUnit", unit, "fail", props, dbus.Units{})
	}
	if err != nil {
		return err
	}
	return s.until(ctx, unit, func(state string) bool { return state == "active" })
}

// unitProperties are those of every unit made here. Delegate makes the inside of a scope ours, and has all
// controllers passed down to it; a slice cannot be delegated.
func (g *Group) unitProperties() dbus.Properties {
	props := dbus.Properties{
		{Name: "Description", Value: "cgroup " + g.path},
		{Name: "DefaultDependencies", Value: false},
		{Name: "CPUAccounting", Value: true},
		{Name: "MemoryAccounting", Value: true},
		{Name: "TasksAccounting", Value: true},
	}
	if g.layout.mode == V2 {
		props = append(props, dbus.Property{Name: "IOAccounting", Value: true})
	}
	props = append(props, g.unit.extra...)
	if g.unit.isSlice() {
		return props
	}
	return append(props, dbus.Property{Name: "Slice", Value: g.unit.slice}, dbus.Property{Name: "Delegate", Value: true})
}

// setUnit tells systemd what it can be told of a budget.
func (g *Group) setUnit(now facts, r *specs.LinuxResources) error {
	props, err := properties(now, r)
	if err != nil || len(props) == 0 {
		return err
	}
	return withSystemd(context.Background(), func(ctx context.Context, s systemd) error {
		if props, err = s.knowsIdle(ctx, props); err != nil || len(props) == 0 {
			return err
		}
		_, err := s.call(ctx, "SetUnitProperties", g.unit.name, true, props)
		return err
	})
}

// removeUnit forgets the unit of a group that is empty, and returns when its name is free again.
func (g *Group) removeUnit(ctx context.Context) error {
	return withSystemd(ctx, func(ctx context.Context, s systemd) error {
		if _, err := s.call(ctx, "StopUnit", g.unit.name, "replace"); err != nil && !refusedAs(err, noSuchUnit) {
			return err
		}
		return s.until(ctx, g.unit.name, func(state string) bool {
			if state == "failed" { // CollectMode would do this, but only since systemd 236
				s.call(ctx, "ResetFailedUnit", g.unit.name) // the next look tells
			}
			return state == "" || state == "inactive"
		})
	})
}

// systemdRoot is the group that systemd's own root is at: the user's manager lives in a service.
func (l *Layout) systemdRoot(uid int) string {
	if uid == 0 {
		return "/"
	}
	service := fmt.Sprintf("user@%d.service", uid)
	if own, err := l.Of(os.Getpid()); err == nil {
		if at := strings.Index(own.path, "/"+service); at >= 0 {
			return own.path[:at+1+len(service)]
		}
	}
	return path.Join("/user.slice", fmt.Sprintf("user-%d.slice", uid), service)
}
