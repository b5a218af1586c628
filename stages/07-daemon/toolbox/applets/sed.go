package applets

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// sed knows s, y, d, p, q, = and a, i, c on lines chosen by number, $, /re/ and ranges; -n, -e, -E, -i. It has no hold space.
func sed(p *Proc) int {
	s := &sedRun{p: p}
	args, scripts, operands := p.Args[1:], []string{}, []string{}
	for len(args) > 0 {
		switch arg := args[0]; {
		case arg == "-n":
			s.quiet = true
		case arg == "-E" || arg == "-r":
			s.extended = true
		case arg == "-i":
			s.inPlace = true
		case arg == "-e" && len(args) > 1:
			scripts, args = append(scripts, args[1]), args[1:]
		case len(arg) > 1 && arg[0] == '-':
			return p.failf("unrecognized option: %s", arg)
		default:
			operands = append(operands, arg)
		}
		args = args[1:]
	}
	if len(scripts) == 0 {
		if len(operands) == 0 {
			return p.failf("usage: sed [-nEi] [-e] SCRIPT [FILE]...")
		}
		scripts, operands = operands[:1], operands[1:]
	}
	if err := s.parse(strings.Join(scripts, "\n")); err != nil {
		return p.failf("%v", err)
	}
	if s.inPlace {
		return p.all(operands, s.edit)
	}
	out := bufio.NewWriter(p.Out)
	var inputs []io.Reader
	status := p.each(operands, func(_ string, r io.Reader) error { // all files are one text: $ is the last line of the last
		text, err := io.ReadAll(r)
		inputs = append(inputs, bytes.NewReader(text))
		return err
	})
	if err := errors.Join(s.run(io.MultiReader(inputs...), out), out.Flush()); err != nil {
		return p.fail(err)
	}
	return status
}

type sedRun struct {
	p                        *Proc
	quiet, extended, inPlace bool
	commands                 []*sedCommand
}

type sedCommand struct {
	from, to *sedAddress
	negated  bool
	active   bool // inside a range
	name     byte
	re       *regexp.Regexp
	text     string // the replacement of s, the text of a, i and c, both sets of y
	global   bool
	print    bool
	nth      int
}

type sedAddress struct {
	line int // 0: not by number; -1: the last
	re   *regexp.Regexp
}

func (a *sedAddress) matches(line string, number int, last bool) bool {
	switch {
	case a.re != nil:
		return a.re.MatchString(line)
	case a.line < 0:
		return last
	}
	return a.line == number
}

// chosen decides whether a command acts on a line.
func (c *sedCommand) chosen(line string, number int, last bool) bool {
	hit := false
	switch {
	case c.from == nil:
		hit = true
	case c.to == nil:
		hit = c.from.matches(line, number, last)
	case c.active:
		hit = true
		c.active = !c.to.matches(line, number, last) && (c.to.line <= 0 || number < c.to.line)
	case c.from.matches(line, number, last):
		hit = true
		c.active = c.to.line <= 0 || number < c.to.line
	}
	return hit != c.negated
}

func (s *sedRun) parse(script string) error {
	for {
		script = strings.TrimLeft(script, " \t\n;")
		if script == "" {
			return nil
		}
		c := &sedCommand{}
		var err error
		if c.from, script, err = s.address(script); err != nil {
			return err
		}
		if c.from != nil && strings.HasPrefix(script, ",") {
			if c.to, script, err = s.address(script[1:]); err != nil {
				return err
			}
		}
		script = strings.TrimLeft(script, " ")
		if strings.HasPrefix(script, "!") {
			c.negated, script = true, strings.TrimLeft(script[1:], " ")
		}
		if script == "" {
			return errors.New("missing command")
		}
		c.name = script[0]
		if script, err = s.command(c, script[1:]); err != nil {
			return err
		}
		s.commands = append(s.commands, c)
	}
}

func (s *sedRun) address(script string) (*sedAddress, string, error) {
	switch {
	case strings.HasPrefix(script, "$"):
		return &sedAddress{line: -1}, script[1:], nil
	case strings.HasPrefix(script, "/"):
		parts, rest, err := delimited(script, 1)
		if err != nil {
			return nil, "", err
		}
		re, err := s.compile(parts[0], "")
		return &sedAddress{re: re}, rest, err
	}
	end := 0
	for end < len(script) && script[end] >= '0' && script[end] <= '9' {
		end++
	}
	if end == 0 {
		return nil, script, nil
	}
	n, err := strconv.Atoi(script[:end])
	return &sedAddress{line: n}, script[end:], err
}

// delimited cuts count texts that stand between the first character and its repetitions; a backslash hides one.
func delimited(script string, count int) ([]string, string, error) {
	mark, rest := script[0], script[1:]
	var parts []string
	for range count {
		end := 0
		for end < len(rest) && rest[end] != mark {
			if rest[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(rest) {
			return nil, "", fmt.Errorf("unterminated %c in %s", mark, script)
		}
		part := rest[:end]
		if mark != '\\' && strings.IndexByte(".*[]^$", mark) < 0 {
			part = strings.ReplaceAll(part, `\`+string(mark), string(mark))
		}
		parts, rest = append(parts, part), rest[end+1:]
	}
	return parts, rest, nil
}

func (s *sedRun) compile(pattern, prefix string) (*regexp.Regexp, error) {
	if !s.extended {
		pattern = extended(pattern)
	}
	return regexp.Compile(prefix + pattern)
}

func (s *sedRun) command(c *sedCommand, rest string) (string, error) {
	switch c.name {
	case 'd', 'p', 'q', '=':
		return rest, nil
	case 'a', 'i', 'c':
		text, after, _ := strings.Cut(rest, "\n")
		c.text = strings.TrimLeft(strings.TrimPrefix(strings.TrimLeft(text, " "), `\`), " \n")
		return after, nil
	case 's', 'y':
		if rest == "" {
			return "", errors.New("unterminated command")
		}
		parts, after, err := delimited(rest, 2)
		if err != nil {
			return "", err
		}
		if c.name == 'y' {
			if len(parts[0]) != len(parts[1]) {
				return "", errors.New("y: the texts differ in length")
			}
			c.text = parts[0] + parts[1]
			return after, nil
		}
		return s.substitution(c, parts, after)
	}
	return "", fmt.Errorf("unsupported command %c", c.name)
}

func (s *sedRun) substitution(c *sedCommand, parts []string, rest string) (string, error) {
	prefix := ""
	for rest != "" && strings.IndexByte("gpiI0123456789", rest[0]) >= 0 {
		switch letter := rest[0]; letter {
		case 'g':
			c.global = true
		case 'p':
			c.print = true
		case 'i', 'I':
			prefix = "(?i)"
		default:
			c.nth = c.nth*10 + int(letter-'0')
		}
		rest = rest[1:]
	}
	var err error
	c.text = parts[1]
	c.re, err = s.compile(parts[0], prefix)
	return rest, err
}

// replace applies s and tells whether anything was replaced.
func (c *sedCommand) replace(line string) (string, bool) {
	var out strings.Builder
	at, count, done := 0, 0, false
	for _, m := range c.re.FindAllStringSubmatchIndex(line, -1) {
		count++
		if c.nth > 0 && count < c.nth || !c.global && done {
			continue
		}
		out.WriteString(line[at:m[0]])
		c.expand(&out, line, m)
		at, done = m[1], true
	}
	out.WriteString(line[at:])
	return out.String(), done
}

// expand writes the replacement: & is the match, \1 to \9 are its groups, \n is a new line.
func (c *sedCommand) expand(out *strings.Builder, line string, m []int) {
	group := func(n int) {
		if 2*n+1 < len(m) && m[2*n] >= 0 {
			out.WriteString(line[m[2*n]:m[2*n+1]])
		}
	}
	for i := 0; i < len(c.text); i++ {
		switch b := c.text[i]; {
		case b == '&':
			group(0)
		case b == '\\' && i+1 < len(c.text):
			i++
			switch next := c.text[i]; {
			case next >= '0' && next <= '9':
				group(int(next - '0'))
			case next == 'n':
				out.WriteByte('\n')
			case next == 't':
				out.WriteByte('\t')
			default:
				out.WriteByte(next)
			}
		default:
			out.WriteByte(b)
		}
	}
}

func (s *sedRun) run(in io.Reader, out *bufio.Writer) error {
	var lines []string
	if err := eachLine(in, func(line string) error {
		lines = append(lines, line)
		return nil
	}); err != nil {
		return err
	}
	for i, line := range lines {
		if quit := s.line(out, line, i+1, i+1 == len(lines)); quit {
			break
		}
	}
	return nil
}

// line runs the script on one line; errors of out are kept by it until Flush.
func (s *sedRun) line(out *bufio.Writer, line string, number int, last bool) (quit bool) {
	deleted, after := false, ""
	for _, c := range s.commands {
		if deleted || quit || !c.chosen(line, number, last) {
			continue
		}
		switch c.name {
		case 's':
			replaced, done := c.replace(line)
			line = replaced
			if done && c.print {
				fmt.Fprintln(out, line)
			}
		case 'y':
			half := len(c.text) / 2
			line = strings.Map(func(r rune) rune {
				if at := strings.IndexRune(c.text[:half], r); at >= 0 {
					return rune(c.text[half+at])
				}
				return r
			}, line)
		case 'd':
			deleted = true
		case 'p':
			fmt.Fprintln(out, line)
		case '=':
			fmt.Fprintln(out, number)
		case 'i':
			fmt.Fprintln(out, c.text)
		case 'a':
			after += c.text + "\n"
		case 'c':
			deleted = true
			if c.to == nil || !c.active {
				fmt.Fprintln(out, c.text)
			}
		case 'q':
			quit = true
		}
	}
	if !deleted && !s.quiet {
		fmt.Fprintln(out, line)
	}
	fmt.Fprint(out, after)
	return quit
}

// edit replaces a file by its edited self.
func (s *sedRun) edit(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var result bytes.Buffer
	out := bufio.NewWriter(&result)
	for _, c := range s.commands {
		c.active = false
	}
	if err := errors.Join(s.run(bytes.NewReader(text), out), out.Flush()); err != nil {
		return err
	}
	return os.WriteFile(name, result.Bytes(), info.Mode().Perm())
}
