package engine

import (
	"context"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/logs"
)

// logTime is RFC 3339 with all nine digits, as Docker writes it, so that columns line up.
const logTime = "2006-01-02T15:04:05.000000000Z07:00"

// LogOptions are the query of logs.
type LogOptions struct {
	logs.Query
	Timestamps, Details bool
}

// Logs reads the container's log; with Follow until the run that goes on now has ended.
func (e *Engine) Logs(ref string, o LogOptions) (Session, error) {
	c, err := e.Get(ref)
	if err != nil {
		return Session{}, err
	}
	v := c.View()
	if v.LogPath() == "" {
		return Session{}, fault.NotImplemented("configured logging driver does not support reading")
	}
	c.mu.Lock()
	var ended <-chan struct{}
	if c.task != nil {
		ended = c.task.done
	}
	c.mu.Unlock()
	if ended == nil {
		o.Follow = false
	}
	return Session{Tty: v.Config.Tty, Run: func(ctx context.Context, _ io.Reader, out io.Writer) error {
		framer := logs.Framer{W: out, Raw: v.Config.Tty}
		return logs.Read(ctx, v.LogPath(), o.Query, ended, func(l logs.Entry) error {
			return writeEntry(framer, l, o.prefix(l)+l.Line)
		})
	}}, nil
}

func (o LogOptions) prefix(l logs.Entry) string {
	var b strings.Builder
	if o.Timestamps {
		b.WriteString(l.Time.Format(logTime) + " ")
	}
	if o.Details {
		var pairs []string
		for _, k := range slices.Sorted(maps.Keys(l.Attrs)) {
			pairs = append(pairs, url.QueryEscape(k)+"="+url.QueryEscape(l.Attrs[k]))
		}
		b.WriteString(strings.Join(pairs, ",") + " ")
	}
	return b.String()
}
