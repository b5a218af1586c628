package dbus

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseText reads a value in GVariant's text format, as it stands in an annotation "org.systemd.property.NAME":
// true, 5 (an int32), uint64 5, @t 5, 'text', ['a', 'b'], @au [1, 2], [('/dev/null', 'rw')]. What cannot be
// sent (see [Properties]) is an error. Source: GLib, "GVariant Text Format".
func ParseText(text string) (any, error) {
	p := &textParser{rest: text}
	v, err := p.typed()
	if err == nil && p.skip() != "" {
		err = fmt.Errorf("%q comes after the value", p.rest)
	}
	if err != nil {
		return nil, fmt.Errorf("%q is no value in GVariant's text format: %w", text, err)
	}
	return v, nil
}

type textParser struct{ rest string }

// skip passes over white space and returns what is left.
func (p *textParser) skip() string {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	return p.rest
}

// take accepts a word if it comes next.
func (p *textParser) take(word string) bool {
	rest, ok := strings.CutPrefix(p.skip(), word)
	if ok {
		p.rest = rest
	}
	return ok
}

// word is what comes up to white space or a bracket.
func (p *textParser) word() string {
	end := strings.IndexAny(p.skip(), " \t\r\n,[]()")
	if end < 0 {
		end = len(p.rest)
	}
	w := p.rest[:end]
	p.rest = p.rest[end:]
	return w
}

// typed reads a value with or without a type before it.
func (p *textParser) typed() (any, error) {
	keywords := map[string]string{
		"boolean": "b", "byte": "y", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u", "int64": "x", "uint64": "t",
		"double": "d", "string": "s", "objectpath": "o",
	}
	if p.take("@") {
		end := strings.IndexAny(p.rest, " \t\r\n")
		if end < 0 {
			return nil, fmt.Errorf("no value after the type")
		}
		sig := p.rest[:end]
		p.rest = p.rest[end:]
		return p.value(sig)
	}
	before := p.skip()
	if sig, ok := keywords[p.word()]; ok {
		return p.value(sig)
	}
	p.rest = before
	return p.value("")
}

// value reads a value of a type; "" is whatever it looks like.
func (p *textParser) value(sig string) (any, error) {
	switch rest := p.skip(); {
	case rest == "":
		return nil, fmt.Errorf("it ends too early")
	case rest[0] == '[' && (sig == "" || sig[0] == 'a'):
		return p.list(strings.TrimPrefix(sig, "a"))
	case rest[0] == '\'' || rest[0] == '"':
		return p.quoted(sig)
	default:
		return number(sig, p.word())
	}
}

// quoted reads a string; a backslash takes the next character as it is.
func (p *textParser) quoted(sig string) (any, error) {
	if sig != "" && sig != "s" && sig != "o" {
		return nil, fmt.Errorf("a string is not of type %q", sig)
	}
	quote, out := p.rest[0], []byte{}
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == quote:
			p.rest = p.rest[i+1:]
			if sig == "o" {
				return Path(out), nil
			}
			return string(out), nil
		case c == '\\' && i+1 < len(p.rest):
			i++
			out = append(out, p.rest[i])
		default:
			out = append(out, c)
		}
	}
	return nil, fmt.Errorf("a string without an end")
}

// number reads true, false and numbers.
func number(sig, word string) (any, error) {
	if sig == "" {
		switch {
		case word == "true" || word == "false":
			sig = "b"
		case strings.ContainsAny(word, ".") || !strings.HasPrefix(word, "0x") && strings.ContainsAny(word, "eE"):
			sig = "d"
		default:
			sig = "i"
		}
	}
	switch bits := map[string]int{"y": 8, "q": 16, "u": 32, "t": 64, "n": -16, "i": -32, "x": -64}[sig]; {
	case sig == "b" && (word == "true" || word == "false"):
		return word == "true", nil
	case sig == "d":
		return strconv.ParseFloat(word, 64)
	case bits > 0:
		n, err := strconv.ParseUint(word, 0, bits)
		return map[string]any{"y": byte(n), "q": uint16(n), "u": uint32(n), "t": n}[sig], err
	case bits < 0:
		n, err := strconv.ParseInt(word, 0, -bits)
		return map[string]any{"n": int16(n), "i": int32(n), "x": n}[sig], err
	}
	return nil, fmt.Errorf("%q is not of type %q", word, sig)
}
