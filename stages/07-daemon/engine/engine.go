// Package engine is the daemon without HTTP: containers as users know them, made of the manager's tasks and
// snapshots, of network endpoints and of records.
//
// Every change of a container is a job that holds the container's token; looking needs no token. Nothing else is
// shared by two containers for longer than a map access, so one that is stuck holds up nobody.
package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	apievents "github.com/moby/moby/api/types/events"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

// Engine holds the containers.
type Engine struct {
	Deps
	Jobs Jobs

	mu         sync.RWMutex // guards the three maps
	containers map[string]*Container
	names      map[string]string // name → id; reserved before the container exists
	execs      map[string]*Exec

	ctx    context.Context // ends with Close: watchers and timers stop, containers go on
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// New returns an empty engine; Restore fills it.
func New(d Deps) *Engine {
	ctx, cancel := context.WithCancel(context.Background())
	return &Engine{
		Deps: d, containers: map[string]*Container{}, names: map[string]string{}, execs: map[string]*Exec{},
		ctx: ctx, cancel: cancel,
	}
}

// Close stops watching. Containers live on.
func (e *Engine) Close() {
	e.cancel()
	for _, c := range e.All() {
		c.mu.Lock()
		streams := c.streams
		if c.pending != nil {
			c.pending.Stop()
		}
		c.mu.Unlock()
		if streams != nil {
			streams.Release()
		}
	}
	e.wg.Wait()
}

// All returns the containers in no order.
func (e *Engine) All() []*Container {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return slices.Collect(maps.Values(e.containers))
}

// Get finds a container by id, by name, or by an unambiguous beginning of its id.
func (e *Engine) Get(ref string) (*Container, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if c, ok := e.containers[ref]; ok {
		return c, nil
	}
	if id, ok := e.names[strings.TrimPrefix(ref, "/")]; ok && e.containers[id] != nil {
		return e.containers[id], nil
	}
	var found *Container
	for id, c := range e.containers {
		if ref != "" && strings.HasPrefix(id, ref) {
			if found != nil {
				return nil, fault.Invalid("multiple IDs found with provided prefix: %s", ref)
			}
			found = c
		}
	}
	if found == nil {
		return nil, fault.NotFound("No such container: %s", ref)
	}
	return found, nil
}

// reserve takes a name for an id; an empty name is chosen.
func (e *Engine) reserve(name, id string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for try := 0; name == ""; try++ {
		if n := randomName(try); e.names[n] == "" {
			name = n
		}
	}
	if !validName(name) {
		return "", fault.Invalid("Invalid container name (%s), only %s are allowed", name, "[a-zA-Z0-9][a-zA-Z0-9_.-]")
	}
	name = strings.TrimPrefix(name, "/")
	if owner, taken := e.names[name]; taken && owner != id {
		return "", fault.Conflict("Conflict. The container name %q is already in use by container %q. You have to remove (or rename) that container to be able to reuse that name.", "/"+name, owner)
	}
	e.names[name] = id
	return name, nil
}

func (e *Engine) release(name, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.names[name] == id {
		delete(e.names, name)
	}
}

func (e *Engine) add(c *Container) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.containers[c.ID] = c
	e.names[c.rec.Name] = c.ID
}

func (e *Engine) forget(c *Container) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.containers, c.ID)
	for id, x := range e.execs {
		if x.Container == c {
			delete(e.execs, id)
		}
	}
}

// change edits the record on the disk and then in memory; when the disk refuses, nothing has changed.
func (e *Engine) change(c *Container, edit func(*Record)) error {
	return c.edit(edit, func(next Record) error { return e.Records.Save(c.ID, next) })
}

// remember changes the record of a container that is about to be removed: not worth a write to the disk, since
// a daemon that finds the older record removes the container too.
func (c *Container) remember(edit func(*Record)) error {
	return c.edit(edit, func(Record) error { return nil })
}

func (c *Container) edit(edit func(*Record), save func(Record) error) error {
	c.saving.Lock()
	defer c.saving.Unlock()
	c.mu.Lock()
	next := c.rec
	c.mu.Unlock()
	edit(&next)
	if err := save(next); err != nil {
		return fmt.Errorf("container %.12s: %w", c.ID, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rec = next
	return nil
}

// publish sends a container event with the attributes that Docker gives: image, name, labels, and more.
func (e *Engine) publish(c *Container, action apievents.Action, more map[string]string) {
	c.mu.Lock()
	attributes := maps.Clone(c.rec.Config.Labels)
	if attributes == nil {
		attributes = map[string]string{}
	}
	attributes["image"], attributes["name"] = c.rec.Image, c.rec.Name
	c.mu.Unlock()
	maps.Copy(attributes, more)
	e.Events.Publish(apievents.ContainerEventType, action, c.ID, attributes)
}
