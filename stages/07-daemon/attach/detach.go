package attach

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrDetached is returned by a reader when the user typed the detach keys.
var ErrDetached = errors.New("read escape sequence")

// DefaultDetachKeys are ctrl-p ctrl-q.
const DefaultDetachKeys = "ctrl-p,ctrl-q"

// ParseDetachKeys understands Docker's notation: single characters and ctrl-X with X one of a-z @ [ \ ] ^ _,
// separated by commas.
func ParseDetachKeys(text string) ([]byte, error) {
	if text == "" {
		text = DefaultDetachKeys
	}
	var keys []byte
	for _, name := range strings.Split(text, ",") {
		letter, ctrl := strings.CutPrefix(name, "ctrl-")
		switch {
		case ctrl && len(letter) == 1 && letter[0] >= 'a' && letter[0] <= 'z':
			keys = append(keys, letter[0]-'a'+1)
		case ctrl && letter == "@":
			keys = append(keys, 0)
		case ctrl && len(letter) == 1 && strings.Contains(`[\]^_`, letter):
			keys = append(keys, letter[0]-'['+27)
		case !ctrl && len(name) == 1:
			keys = append(keys, name[0])
		default:
			return nil, fmt.Errorf("unknown character: '%s'", name)
		}
	}
	return keys, nil
}

// EscapeReader passes input through and returns [ErrDetached] once the keys were read in a row. Keys that turn
// out not to be the whole sequence are passed on.
type EscapeReader struct {
	From io.Reader
	Keys []byte

	matched int
}

// Read may return up to len(Keys) bytes more than it read from the source in this call, so p should be larger.
func (e *EscapeReader) Read(p []byte) (int, error) {
	buf := make([]byte, max(1, len(p)-len(e.Keys)))
	n, err := e.From.Read(buf)
	out := p[:0]
	for _, b := range buf[:n] {
		if b == e.Keys[e.matched] {
			if e.matched++; e.matched == len(e.Keys) {
				e.matched = 0
				return len(out), ErrDetached
			}
			continue
		}
		out = append(out, e.Keys[:e.matched]...)
		e.matched = 0
		if b == e.Keys[0] && len(e.Keys) > 1 {
			e.matched = 1
			continue
		}
		out = append(out, b)
	}
	return len(out), err
}
