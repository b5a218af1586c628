// Package screen writes for people: in colour and with drawn bars on a terminal,
// and plainly into files and pipes. The environment's NO_COLOR is honoured
// (no-color.org), and nothing is told by colour alone.
package screen

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/course/verdict"
)

// Width is how many columns are used.
const Width = 80

// Screen is where and how to write.
type Screen struct {
	io.Writer
	Colour bool // escape sequences
	Drawn  bool // characters beyond ASCII
}

// New finds out what out can show.
func New(out io.Writer) Screen {
	f, ok := out.(*os.File)
	if !ok {
		return Screen{Writer: out}
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	terminal := err == nil && os.Getenv("TERM") != "dumb"
	return Screen{Writer: out, Colour: terminal && os.Getenv("NO_COLOR") == "", Drawn: terminal}
}

// Style is an ANSI attribute (ECMA-48, SGR).
type Style string

const (
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
	Cyan   Style = "36"
)

// In gives text a style, where there is colour.
func (s Screen) In(style Style, text string) string {
	if !s.Colour || text == "" {
		return text
	}
	return "\x1b[" + string(style) + "m" + text + "\x1b[0m"
}

// sign is how a state looks: one character, drawn or not, and its colour.
func sign(state verdict.State) (drawn, plain, cell string, style Style) {
	switch state {
	case verdict.Done:
		return "✔", "x", "█", Green
	case verdict.NotYetRight, verdict.Broken:
		return "▶", ">", "▓", Yellow
	case verdict.Unverifiable:
		return "?", "?", "▒", Cyan
	}
	return "·", ".", "░", Dim
}

// Sign is one column wide.
func (s Screen) Sign(state verdict.State) string {
	drawn, plain, _, style := sign(state)
	if !s.Drawn {
		return plain
	}
	return s.In(style, drawn)
}

// Bar shows one state after the other, about width columns in all.
func (s Screen) Bar(states []verdict.State, width int) string {
	if len(states) == 0 {
		return strings.Repeat(" ", width)
	}
	var b strings.Builder
	for i, state := range states {
		n := width*(i+1)/len(states) - width*i/len(states)
		_, plain, cell, style := sign(state)
		if !s.Drawn {
			b.WriteString(strings.Repeat(plain, n))
			continue
		}
		b.WriteString(s.In(style, strings.Repeat(cell, n)))
	}
	return b.String()
}

// Fit cuts or fills a text to a number of columns.
func Fit(text string, columns int) string {
	if n := utf8.RuneCountInString(text); n <= columns {
		return text + strings.Repeat(" ", columns-n)
	}
	return string([]rune(text)[:columns-1]) + "…"
}

// Wrap breaks a text at blanks into lines of at most so many columns; a word that
// is longer stays whole.
func Wrap(text string, columns int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := lines[len(lines)-1]
		switch {
		case last == "":
			lines[len(lines)-1] = word
		case utf8.RuneCountInString(last)+1+utf8.RuneCountInString(word) > columns:
			lines = append(lines, word)
		default:
			lines[len(lines)-1] = last + " " + word
		}
	}
	return lines
}

// Minutes says how long something takes.
func Minutes(n int) string {
	if n < 60 {
		return fmt.Sprintf("%d min", n)
	}
	return fmt.Sprintf("%d h %02d", n/60, n%60)
}
