package applets

import (
	"fmt"
	"strconv"
	"strings"
)

// printf repeats its format until the arguments are used up (POSIX printf, extended description, item 9).
func printf(p *Proc) int {
	if len(p.Args) < 2 {
		return p.failf("usage: printf FORMAT [ARG]...")
	}
	f := &formatter{args: p.Args[2:]}
	for {
		before := len(f.args)
		f.run(p.Args[1])
		if len(f.args) == 0 || len(f.args) == before || f.stopped {
			break
		}
	}
	if _, err := fmt.Fprint(p.Out, f.out.String()); err != nil {
		return p.failf("write error: %s", capital(err))
	}
	if f.bad != "" {
		return p.failf("%s", f.bad)
	}
	return 0
}

// formatter walks one format; bad is the first thing that was wrong.
type formatter struct {
	args    []string
	out     strings.Builder
	bad     string
	stopped bool // by \c
}

func (f *formatter) run(format string) {
	for format != "" && !f.stopped {
		switch {
		case format[0] == '\\':
			n := f.escape(format, &f.out)
			format = format[n:]
		case strings.HasPrefix(format, "%%"):
			f.out.WriteByte('%')
			format = format[2:]
		case format[0] == '%':
			format = f.conversion(format)
		default:
			f.out.WriteByte(format[0])
			format = format[1:]
		}
	}
}

// conversion prints one %… and returns what follows it.
func (f *formatter) conversion(format string) string {
	end := 1
	spec := "%"
	for end < len(format) && strings.IndexByte("-+ #0123456789.*", format[end]) >= 0 {
		if format[end] == '*' {
			spec += strconv.FormatInt(f.number(), 10)
		} else {
			spec += format[end : end+1]
		}
		end++
	}
	if end == len(format) {
		f.wrong("%s: invalid format", format)
		return ""
	}
	switch letter := format[end]; letter {
	case 'd', 'i':
		fmt.Fprintf(&f.out, spec+"d", f.number())
	case 'u':
		fmt.Fprintf(&f.out, spec+"d", uint64(f.number()))
	case 'o', 'x', 'X':
		fmt.Fprintf(&f.out, spec+string(letter), uint64(f.number()))
	case 'e', 'E', 'f', 'F', 'g', 'G':
		fmt.Fprintf(&f.out, spec+string(letter), f.float())
	case 'c':
		text := f.next()
		fmt.Fprintf(&f.out, spec+"s", text[:min(1, len(text))])
	case 's':
		fmt.Fprintf(&f.out, spec+"s", f.next())
	case 'b':
		fmt.Fprintf(&f.out, spec+"s", f.unescape(f.next()))
	default:
		f.wrong("%s: invalid format", format[:end+1])
	}
	return format[end+1:]
}

func (f *formatter) wrong(format string, args ...any) {
	if f.bad == "" {
		f.bad = fmt.Sprintf(format, args...)
	}
}

func (f *formatter) next() string {
	if len(f.args) == 0 {
		return ""
	}
	arg := f.args[0]
	f.args = f.args[1:]
	return arg
}

// number reads decimal, 0x… and 0…, and 'c as the value of a character; nothing is 0.
func (f *formatter) number() int64 {
	arg := f.next()
	if arg == "" {
		return 0
	}
	if arg[0] == '\'' || arg[0] == '"' {
		for _, r := range arg[1:] {
			return int64(r)
		}
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(arg), 0, 64)
	if err != nil {
		f.wrong("invalid number '%s'", arg)
	}
	return n
}

func (f *formatter) float() float64 {
	arg := f.next()
	if arg == "" {
		return 0
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(arg), 64)
	if err != nil {
		f.wrong("invalid number '%s'", arg)
	}
	return n
}

func (f *formatter) unescape(text string) string {
	var out strings.Builder
	for text != "" && !f.stopped {
		n := 1
		if text[0] == '\\' {
			n = f.escape(text, &out)
		} else {
			out.WriteByte(text[0])
		}
		text = text[n:]
	}
	return out.String()
}

// escape writes what the backslash at the start of text means and returns its length.
func (f *formatter) escape(text string, out *strings.Builder) int {
	if len(text) < 2 {
		out.WriteByte('\\')
		return 1
	}
	simple := map[byte]byte{'a': 7, 'b': 8, 'e': 27, 'f': 12, 'n': 10, 'r': 13, 't': 9, 'v': 11, '\\': '\\', '"': '"'}
	switch c := text[1]; {
	case c == 'c':
		f.stopped = true
	case simple[c] != 0:
		out.WriteByte(simple[c])
	case c == 'x':
		return f.digits(text, 2, 2, 16, out)
	case c >= '0' && c <= '7':
		start := 1
		if c == '0' {
			start = 2 // \0NNN of echo and %b; \NNN of the format
		}
		return f.digits(text, start, 3, 8, out)
	default:
		out.WriteString(text[:2])
	}
	return 2
}

// digits writes the byte that up to count digits from start name.
func (f *formatter) digits(text string, start, count, base int, out *strings.Builder) int {
	end := start
	for end < len(text) && end < start+count {
		if _, err := strconv.ParseUint(text[end:end+1], base, 8); err != nil {
			break
		}
		end++
	}
	n, err := strconv.ParseUint(text[start:end], base, 16)
	if err != nil && end > start {
		f.wrong("%s: not a number", text[start:end])
	}
	out.WriteByte(byte(n))
	return end
}
