package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/jsonstream"
)

// showProgress prints the messages of a pull, push or load: on a terminal one line per layer, rewritten in place; otherwise one line
// per change of state, without the bars. An error in the stream ends it.
func (a *App) showProgress(r io.Reader, out io.Writer) error {
	_, isTerminal := terminal(out)
	p := &progress{out: bufio.NewWriter(out), terminal: isTerminal, width: width(out, 0), now: a.Now, lines: map[string]int{}}
	decoder := json.NewDecoder(r)
	for {
		var m jsonstream.Message
		if err := decoder.Decode(&m); err != nil {
			if err == io.EOF {
				return p.out.Flush()
			}
			return errors.Join(fmt.Errorf("read the progress: %w", err), p.out.Flush())
		}
		if err := p.show(m); err != nil {
			return errors.Join(err, p.out.Flush())
		}
		if err := p.out.Flush(); err != nil {
			return err
		}
	}
}

// progress remembers on which line each layer stands.
type progress struct {
	out      *bufio.Writer
	terminal bool
	width    int
	now      func() time.Time
	lines    map[string]int
}

func (p *progress) show(m jsonstream.Message) error {
	if m.Error != nil {
		return errors.New(m.Error.Message)
	}
	if !p.terminal {
		p.plain(m)
		return nil
	}
	if m.ID == "" || m.Progress == nil {
		p.lines = map[string]int{} // an ordinary line: what stands above it is never touched again
		p.plain(m)
		return nil
	}
	up := p.moveTo(m.ID)
	fmt.Fprintf(p.out, "%s: %s %s\r\x1b[%dB", m.ID, m.Status, bar(*m.Progress, p.width, p.now()), up)
	return nil
}

// plain prints what a log should hold: a message with numbers is a moment of a bar and is left out.
func (p *progress) plain(m jsonstream.Message) {
	if m.Stream != "" {
		p.out.WriteString(m.Stream)
		return
	}
	if m.Progress != nil && bar(*m.Progress, p.width, p.now()) != "" {
		return
	}
	if m.ID != "" {
		p.out.WriteString(m.ID + ": ")
	}
	p.out.WriteString(m.Status + "\n")
}

// moveTo puts the cursor on a layer's line, which is made when it is new, and clears it; the result is how far up that was.
func (p *progress) moveTo(id string) int {
	line, known := p.lines[id]
	if !known {
		line = len(p.lines)
		p.lines[id] = line
		p.out.WriteString("\n")
	}
	up := len(p.lines) - line
	fmt.Fprintf(p.out, "\x1b[%dA\x1b[2K\r", up)
	return up
}

// bar is `[=====>      ]  1.5MB/3MB 2s`; narrow terminals get the numbers alone.
func bar(p jsonstream.Progress, width int, now time.Time) string {
	if p.Current <= 0 && p.Total <= 0 {
		return ""
	}
	if p.Total <= 0 {
		if p.Units == "" {
			return fmt.Sprintf("%8v", units.HumanSize(float64(p.Current)))
		}
		return fmt.Sprintf("%d %s", p.Current, p.Units)
	}
	var text strings.Builder
	part := min(int(float64(p.Current)/float64(p.Total)*100)/2, 50)
	if width > 110 {
		rest := max(50-part, 0)
		fmt.Fprintf(&text, "[%s>%s] ", strings.Repeat("=", part), strings.Repeat(" ", rest))
	}
	switch {
	case p.HideCounts:
	case p.Units == "":
		current := fmt.Sprintf("%8v", units.HumanSize(float64(p.Current)))
		if p.Current <= p.Total {
			current += "/" + units.HumanSize(float64(p.Total))
		}
		text.WriteString(current)
	case p.Current <= p.Total:
		fmt.Fprintf(&text, "%d/%d %s", p.Current, p.Total, p.Units)
	default:
		fmt.Fprintf(&text, "%d %s", p.Current, p.Units)
	}
	if p.Current > 0 && p.Start > 0 && part < 50 && width > 50 {
		elapsed := now.Sub(time.Unix(p.Start, 0))
		left := elapsed / time.Duration(p.Current) * time.Duration(p.Total-p.Current) / time.Second * time.Second
		text.WriteString(" " + left.String())
	}
	return text.String()
}
