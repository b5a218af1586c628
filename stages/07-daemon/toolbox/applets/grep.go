package applets

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
)

// grep knows -E -F -i -v -c -q -n -l -o -w -x -r -s -e; a basic expression is read as POSIX says, then given to Go's engine.
func grep(p *Proc) int {
	opt, operands, ok := p.getopt("-EFivcqnlowxrsHhe:")
	if !ok {
		return 2
	}
	pattern, given := opt['e']
	if !given {
		if len(operands) == 0 {
			p.failf("usage: grep [-EFivcqnlowxrs] PATTERN [FILE]...")
			return 2
		}
		pattern, operands = operands[0], operands[1:]
	}
	re, err := compilePattern(pattern, opt)
	if err != nil {
		p.failf("bad regex '%s': %v", pattern, err)
		return 2
	}
	if opt.has('r') {
		operands = filesBelow(operands)
	}
	g := &grepRun{p: p, opt: opt, re: re, named: (len(operands) > 1 || opt.has('r') || opt.has('H')) && !opt.has('h')}
	status := p.each(operands, g.file)
	switch {
	case g.matched && opt.has('q'):
		return 0
	case status != 0:
		return 2
	case g.matched:
		return 0
	}
	return 1
}

func compilePattern(pattern string, opt flags) (*regexp.Regexp, error) {
	var alternatives []string
	for line := range strings.SplitSeq(pattern, "\n") {
		switch {
		case opt.has('F'):
			line = regexp.QuoteMeta(line)
		case !opt.has('E'):
			line = extended(line)
		}
		if opt.has('w') {
			line = `\b(?:` + line + `)\b`
		}
		if opt.has('x') {
			line = `^(?:` + line + `)$`
		}
		alternatives = append(alternatives, line)
	}
	prefix := ""
	if opt.has('i') {
		prefix = "(?i)"
	}
	return regexp.Compile(prefix + strings.Join(alternatives, "|"))
}

// extended turns a basic regular expression into an extended one: there `\(` groups and `(` is a letter (POSIX XBD 9.3).
func extended(basic string) string {
	var out strings.Builder
	for i := 0; i < len(basic); i++ {
		c := basic[i]
		switch {
		case c == '\\' && i+1 < len(basic):
			i++
			if strings.IndexByte("(){}|+?", basic[i]) < 0 {
				out.WriteByte('\\')
			}
			out.WriteByte(basic[i])
		case strings.IndexByte("(){}|+?", c) >= 0, c == '*' && i == 0:
			out.WriteByte('\\')
			out.WriteByte(c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

func filesBelow(roots []string) []string {
	if len(roots) == 0 {
		roots = []string{"."}
	}
	var files []string
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.Type().IsRegular() {
				files = append(files, path) // an unreadable one is opened later, and reported then
			}
			return nil
		})
		if err != nil {
			files = append(files, root)
		}
	}
	return files
}

type grepRun struct {
	p       *Proc
	opt     flags
	re      *regexp.Regexp
	named   bool
	matched bool
}

func (g *grepRun) file(name string, r io.Reader) error {
	count, number := 0, 0
	prefix := ""
	if g.named {
		prefix = name + ":"
	}
	err := eachLine(r, func(line string) error {
		number++
		if g.re.MatchString(line) == g.opt.has('v') {
			return nil
		}
		count++
		g.matched = true
		if g.opt.has('q') || g.opt.has('l') {
			return io.EOF
		}
		return g.show(prefix, number, line)
	})
	switch {
	case g.opt.has('q'):
	case g.opt.has('l') && count > 0:
		fmt.Fprintln(g.p.Out, name)
	case g.opt.has('c') && !g.opt.has('l'):
		fmt.Fprintf(g.p.Out, "%s%d\n", prefix, count)
	}
	if err == io.EOF {
		return nil
	}
	return err
}

func (g *grepRun) show(prefix string, number int, line string) error {
	if g.opt.has('c') {
		return nil
	}
	if g.opt.has('n') {
		prefix += fmt.Sprintf("%d:", number)
	}
	found := []string{line}
	if g.opt.has('o') {
		found = g.re.FindAllString(line, -1)
	}
	for _, text := range found {
		if _, err := fmt.Fprintln(g.p.Out, prefix+text); err != nil {
			return err
		}
	}
	return nil
}
