package quickjson

import (
	"encoding/json"
	"unicode/utf8"
)

// word steps over null, true or false.
func (d *decoder) word(w string) error {
	d.next()
	if end := d.at + len(w); end <= len(d.text) && string(d.text[d.at:end]) == w {
		d.at = end
		return nil
	}
	return errUnusual
}

// string decodes a string. One with escapes, or with bytes that are not UTF-8, is left to encoding/json.
func (d *decoder) string() ([]byte, error) {
	if err := d.take('"'); err != nil {
		return nil, err
	}
	from, plain := d.at, true
	for ; d.at < len(d.text); d.at++ {
		switch c := d.text[d.at]; {
		case c == '"':
			raw := d.text[from:d.at]
			d.at++
			if plain {
				return raw, nil
			}
			return unquote(d.text[from-1 : d.at])
		case c == '\\':
			plain = false
			d.at++
		case c < ' ':
			return nil, errUnusual
		case c >= utf8.RuneSelf:
			plain = false
		}
	}
	return nil, errUnusual
}

func unquote(quoted []byte) ([]byte, error) {
	var s string
	err := json.Unmarshal(quoted, &s)
	return []byte(s), err
}

// number is the number that comes next, as it is written; empty when there is none (RFC 8259, section 6).
func (d *decoder) number() string {
	d.next()
	from := d.at
	d.some('-', '-', 1)
	switch {
	case d.some('0', '0', 1) == 1:
	case d.some('0', '9', -1) == 0:
		return ""
	}
	if d.some('.', '.', 1) == 1 && d.some('0', '9', -1) == 0 {
		return ""
	}
	if d.some('e', 'e', 1)+d.some('E', 'E', 1) == 1 {
		if d.some('+', '+', 1) == 0 {
			d.some('-', '-', 1)
		}
		if d.some('0', '9', -1) == 0 {
			return ""
		}
	}
	return string(d.text[from:d.at])
}

// some steps over up to most bytes from low to high (most -1: any number) and counts them.
func (d *decoder) some(low, high byte, most int) int {
	n := 0
	for n != most && d.at < len(d.text) && d.text[d.at] >= low && d.text[d.at] <= high {
		d.at++
		n++
	}
	return n
}

// maxDepth is far more than any configuration has; encoding/json allows 10000.
const maxDepth = 100

// skip steps over a value of any kind.
func (d *decoder) skip(depth int) error {
	if depth == maxDepth {
		return errUnusual
	}
	switch d.next() {
	case '{':
		return d.object(func([]byte, int) error { return d.skip(depth + 1) })
	case '[':
		return d.list('[', ']', func(int) error { return d.skip(depth + 1) })
	case '"':
		_, err := d.string()
		return err
	case 't':
		return d.word("true")
	case 'f':
		return d.word("false")
	case 'n':
		return d.word("null")
	}
	if d.number() == "" {
		return errUnusual
	}
	return nil
}
