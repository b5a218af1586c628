package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// errDetached says that the user typed the detach keys.
var errDetached = errors.New("read escape sequence")

// parseKeys reads a sequence such as "ctrl-p,ctrl-q" or "a,b"; empty is the default.
func parseKeys(text string) ([]byte, error) {
	if text == "" {
		text = "ctrl-p,ctrl-q"
	}
	var keys []byte
	for word := range strings.SplitSeq(text, ",") {
		letter, isControl := strings.CutPrefix(word, "ctrl-")
		switch {
		case len(letter) != 1:
			return nil, fmt.Errorf("invalid detach keys (%s): unknown character: '%s'", text, word)
		case !isControl:
			keys = append(keys, letter[0])
		case letter[0] >= 'a' && letter[0] <= 'z':
			keys = append(keys, letter[0]-'a'+1)
		case strings.Contains("@[\\]^_", letter):
			keys = append(keys, letter[0]-'@')
		default:
			return nil, fmt.Errorf("invalid detach keys (%s): unknown character: '%s'", text, word)
		}
	}
	return keys, nil
}

// keyReader passes bytes through until the keys have been typed in a row; then it returns errDetached. A beginning of the
// sequence is held back until it is clear that it is none.
type keyReader struct {
	r       io.Reader
	keys    []byte
	matched int
	ready   []byte
	err     error
}

// Read returns what is certainly not part of the sequence.
func (k *keyReader) Read(buf []byte) (int, error) {
	for len(k.ready) == 0 && k.err == nil {
		n, err := k.r.Read(buf)
		for _, b := range buf[:n] {
			k.feed(b)
			if k.err != nil {
				break
			}
		}
		if err != nil && k.err == nil {
			k.ready, k.matched, k.err = append(k.ready, k.keys[:k.matched]...), 0, err
		}
	}
	if len(k.ready) > 0 {
		n := copy(buf, k.ready)
		k.ready = k.ready[n:]
		return n, nil
	}
	return 0, k.err
}

func (k *keyReader) feed(b byte) {
	if b == k.keys[k.matched] {
		k.matched++
		if k.matched == len(k.keys) {
			k.err = errDetached
		}
		return
	}
	k.ready = append(k.ready, k.keys[:k.matched]...)
	k.matched = 0
	if b == k.keys[0] {
		k.feed(b)
		return
	}
	k.ready = append(k.ready, b)
}
