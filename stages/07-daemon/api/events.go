package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"
)

// events sends what is stored since a moment and then what happens, until a moment, or until the client goes.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r, "config", "container", "daemon", "event", "image", "label", "network", "node", "plugin",
		"scope", "secret", "service", "type", "volume")
	if err != nil {
		return err
	}
	since, err := timestamp(r.FormValue("since"))
	if err != nil {
		return err
	}
	until, err := timestamp(r.FormValue("until"))
	if err != nil {
		return err
	}
	past, live := s.Engine.Events.Listen(since)
	defer live.Close()
	w.Header().Set("Content-Type", eventsType(r))
	w.WriteHeader(http.StatusOK)
	out := flushing{w: w, flush: http.NewResponseController(w).Flush}
	_ = out.flush()
	send := func(m events.Message) bool {
		if !until.IsZero() && m.TimeNano > until.UnixNano() {
			return false
		}
		if !eventFits(f, m) {
			return true
		}
		line, err := json.Marshal(eventShape(m, versionOf(r.Context())))
		if err != nil {
			return false
		}
		_, err = out.Write(append(line, '\n'))
		return err == nil
	}
	for _, m := range past {
		if !send(m) {
			return nil
		}
	}
	var end <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(max(0, time.Until(until)))
		defer timer.Stop()
		end = timer.C
	}
	for {
		select {
		case m, ok := <-live.C:
			if !ok || !send(m) {
				return nil
			}
		case <-end:
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}

// eventsType is the framing the client asked for (since API 1.52); JSON objects in a row otherwise.
func eventsType(r *http.Request) string {
	accept := r.Header.Get("Accept")
	for _, t := range []string{"application/x-ndjson", "application/jsonl"} {
		if strings.Contains(accept, t) {
			return t
		}
	}
	return "application/json"
}

// eventShape adds the three fields that answers of API 1.51 and older have: status, id and from.
func eventShape(m events.Message, v Version) any {
	if v >= 52 {
		return m
	}
	type old struct {
		Status string `json:"status,omitempty"`
		ID     string `json:"id,omitempty"`
		From   string `json:"from,omitempty"`
		events.Message
	}
	o := old{Message: m}
	if m.Type == events.ContainerEventType || m.Type == events.ImageEventType {
		o.Status, o.ID = string(m.Action), m.Actor.ID
	}
	if m.Type == events.ContainerEventType {
		o.From = m.Actor.Attributes["image"]
	}
	return o
}

func eventFits(f filters, m events.Message) bool {
	name := m.Actor.Attributes["name"]
	is := func(kind events.Type) func(string) bool {
		return func(x string) bool {
			return m.Type == kind && (x == name || strings.HasPrefix(m.Actor.ID, x) || kind == events.ImageEventType && strings.HasPrefix(name, x+":"))
		}
	}
	return f.any("type", func(x string) bool { return x == string(m.Type) }) &&
		f.any("event", func(x string) bool {
			return x == string(m.Action) || strings.HasPrefix(string(m.Action), x+":")
		}) &&
		f.any("scope", func(x string) bool { return x == m.Scope }) &&
		f.labels(m.Actor.Attributes) &&
		f.any("container", is(events.ContainerEventType)) &&
		f.any("image", func(x string) bool {
			return is(events.ImageEventType)(x) || m.Type == events.ContainerEventType && m.Actor.Attributes["image"] == x
		}) &&
		f.any("volume", is(events.VolumeEventType)) &&
		f.any("network", is(events.NetworkEventType)) &&
		f.any("daemon", is(events.DaemonEventType))
}
