// Package events is the daemon's memory of what happened: a ring of the latest events, and those who listen.
//
// A listener that does not read is dropped, so that nobody's pause becomes everybody's (bounded queues).
package events

import (
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
)

// Message is Docker's event.
type Message = events.Message

const (
	ringSize  = 1024 // events kept for ?since=
	queueSize = 1024 // events a listener may lag behind before it is dropped
)

// Hub is the ring and its listeners.
type Hub struct {
	mu        sync.Mutex // guards ring, listeners and last
	ring      []Message
	listeners map[*Listener]struct{}
	last      int64
}

// Listener receives events on C until Close; C is closed early if the listener lags too far behind.
type Listener struct {
	C    <-chan Message
	send chan Message
	hub  *Hub
}

// New returns an empty hub.
func New() *Hub { return &Hub{listeners: map[*Listener]struct{}{}} }

// Publish stamps an event and hands it to everybody. Stamps only grow, so a client that resumes with the last
// stamp it saw misses nothing.
func (h *Hub) Publish(kind events.Type, action events.Action, id string, attributes map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := max(time.Now().UnixNano(), h.last+1)
	h.last = now
	m := Message{
		Type: kind, Action: action, Scope: "local",
		Actor: events.Actor{ID: id, Attributes: attributes},
		Time:  now / int64(time.Second), TimeNano: now,
	}
	h.ring = append(h.ring, m)
	if len(h.ring) > ringSize {
		h.ring = slices.Clone(h.ring[len(h.ring)-ringSize:])
	}
	for l := range h.listeners {
		select {
		case l.send <- m:
		default:
			h.dropLocked(l)
		}
	}
}

// Listen returns the stored events later than since (zero: none) and a listener for those to come; between the
// two nothing is lost and nothing comes twice.
func (h *Hub) Listen(since time.Time) ([]Message, *Listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var past []Message
	if !since.IsZero() {
		for _, m := range h.ring {
			if m.TimeNano >= since.UnixNano() {
				past = append(past, m)
			}
		}
	}
	c := make(chan Message, queueSize)
	l := &Listener{C: c, send: c, hub: h}
	h.listeners[l] = struct{}{}
	return past, l
}

// Listeners counts who listens now.
func (h *Hub) Listeners() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.listeners)
}

// Close ends the listener. It may be called more than once.
func (l *Listener) Close() {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	l.hub.dropLocked(l)
}

func (h *Hub) dropLocked(l *Listener) {
	if _, ok := h.listeners[l]; ok {
		delete(h.listeners, l)
		close(l.send)
	}
}
