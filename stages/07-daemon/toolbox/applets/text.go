package applets

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

func cat(p *Proc) int {
	_, operands, ok := p.getopt("-u")
	if !ok {
		return 1
	}
	return p.each(operands, func(_ string, r io.Reader) error {
		_, err := io.Copy(p.Out, r)
		return err
	})
}

// count reads `-n 5`, `-n5`, `-5` and `-c 5`; it returns the number, its sign and whether bytes are meant.
func (p *Proc) count() (n int, plus, bytes, ok bool, opt flags, operands []string) {
	if len(p.Args) > 1 && len(p.Args[1]) > 1 && p.Args[1][0] == '-' && p.Args[1][1] >= '0' && p.Args[1][1] <= '9' {
		p.Args = append([]string{p.Args[0], "-n", p.Args[1][1:]}, p.Args[2:]...)
	}
	opt, operands, ok = p.getopt("-n:c:fFqv")
	if !ok {
		return
	}
	text := "10"
	if v, given := opt['n']; given {
		text = v
	}
	if v, given := opt['c']; given {
		text, bytes = v, true
	}
	plus = strings.HasPrefix(text, "+")
	n, err := strconv.Atoi(strings.TrimPrefix(text, "+"))
	if err != nil {
		p.failf("invalid number '%s'", text)
		return 0, false, false, false, nil, nil
	}
	return n, plus, bytes, true, opt, operands
}

func head(p *Proc) int {
	n, _, bytewise, ok, _, operands := p.count()
	if !ok {
		return 1
	}
	return p.titled(operands, func(_ string, r io.Reader) error {
		if bytewise {
			_, err := io.CopyN(p.Out, r, int64(n))
			if err == io.EOF {
				return nil
			}
			return err
		}
		in := bufio.NewReader(r)
		for i := 0; i < n; i++ {
			line, err := in.ReadBytes('\n')
			if _, werr := p.Out.Write(line); werr != nil {
				return werr
			}
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// titled is each, with head's and tail's `==> name <==` above every file when there are several.
func (p *Proc) titled(operands []string, use func(string, io.Reader) error) int {
	if len(operands) < 2 {
		return p.each(operands, use)
	}
	first := true
	return p.each(operands, func(name string, r io.Reader) error {
		fmt.Fprintf(p.Out, "%s==> %s <==\n", map[bool]string{false: "\n"}[first], name)
		first = false
		return use(name, r)
	})
}

func tail(p *Proc) int {
	n, plus, bytewise, ok, opt, operands := p.count()
	if !ok {
		return 1
	}
	return p.titled(operands, func(_ string, r io.Reader) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if _, err := p.Out.Write(lastPart(text, n, plus, bytewise)); err != nil {
			return err
		}
		for opt.has('f') || opt.has('F') {
			if _, err := io.Copy(p.Out, r); err != nil {
				return err
			}
			time.Sleep(200 * time.Millisecond)
		}
		return nil
	})
}

func lastPart(text []byte, n int, plus, bytewise bool) []byte {
	if bytewise {
		if plus {
			return text[min(max(n-1, 0), len(text)):]
		}
		return text[max(len(text)-n, 0):]
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	if len(lines) > 0 && len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	from := max(len(lines)-n, 0)
	if plus {
		from = min(max(n-1, 0), len(lines))
	}
	return bytes.Join(lines[from:], nil)
}

func wc(p *Proc) int {
	opt, operands, ok := p.getopt("-lwc")
	if !ok {
		return 1
	}
	if len(opt) == 0 {
		opt = flags{'l': "", 'w': "", 'c': ""}
	}
	var total [3]int
	show := func(counts [3]int, name string) {
		var columns []string
		for i, letter := range []byte("lwc") {
			if opt.has(letter) {
				columns = append(columns, strconv.Itoa(counts[i]))
			}
		}
		if name != "-" {
			columns = append(columns, name)
		}
		fmt.Fprintln(p.Out, strings.Join(columns, " "))
	}
	status := p.each(operands, func(name string, r io.Reader) error {
		counts, err := countIn(r)
		for i := range total {
			total[i] += counts[i]
		}
		show(counts, name)
		return err
	})
	if len(operands) > 1 {
		show(total, "total")
	}
	return status
}

func countIn(r io.Reader) (counts [3]int, err error) {
	inWord := false
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		for _, b := range buf[:n] {
			if b == '\n' {
				counts[0]++
			}
			space := b == ' ' || b >= '\t' && b <= '\r'
			if !space && !inWord {
				counts[1]++
			}
			inWord = !space
		}
		counts[2] += n
		if err == io.EOF {
			return counts, nil
		}
		if err != nil {
			return counts, err
		}
	}
}

// lines reads every line of the operands without its newline.
func (p *Proc) lines(operands []string) ([]string, int) {
	var all []string
	status := p.each(operands, func(_ string, r io.Reader) error {
		return eachLine(r, func(line string) error {
			all = append(all, line)
			return nil
		})
	})
	return all, status
}

// eachLine calls use for every line without its newline.
func eachLine(r io.Reader, use func(string) error) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			if err := use(strings.TrimSuffix(line, "\n")); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func sortApplet(p *Proc) int {
	opt, operands, ok := p.getopt("-rnuk:t:")
	if !ok {
		return 1
	}
	lines, status := p.lines(operands)
	field := 0
	if k, given := opt['k']; given {
		if _, err := fmt.Sscan(strings.FieldsFunc(k, func(r rune) bool { return r == ',' || r == 'n' })[0], &field); err != nil {
			return p.failf("bad field '%s'", k)
		}
		if strings.Contains(k, "n") {
			opt['n'] = ""
		}
	}
	key := func(line string) string { return sortKey(line, field, opt['t']) }
	slices.SortStableFunc(lines, func(a, b string) int {
		order := strings.Compare(key(a), key(b))
		if opt.has('n') {
			order = compareNumbers(key(a), key(b))
		}
		if order == 0 {
			order = strings.Compare(a, b)
		}
		if opt.has('r') {
			return -order
		}
		return order
	})
	if opt.has('u') {
		lines = slices.Compact(lines)
	}
	return max(status, p.print(lines))
}

func sortKey(line string, field int, separator string) string {
	if field == 0 {
		return line
	}
	parts := strings.Fields(line)
	if separator != "" {
		parts = strings.Split(line, separator)
	}
	if field > len(parts) {
		return ""
	}
	return strings.Join(parts[field-1:], " ")
}

func compareNumbers(a, b string) int {
	x, y := leadingNumber(a), leadingNumber(b)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func leadingNumber(s string) float64 {
	s = strings.TrimLeft(s, " \t")
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '.' || end == 0 && s[end] == '-') {
		end++
	}
	n, err := strconv.ParseFloat(s[:end], 64)
	if err != nil {
		return 0 // sort(1): a key without a number counts as zero
	}
	return n
}

func (p *Proc) print(lines []string) int {
	out := bufio.NewWriter(p.Out)
	for _, line := range lines {
		if _, err := out.WriteString(line + "\n"); err != nil {
			return 1
		}
	}
	if out.Flush() != nil {
		return 1
	}
	return 0
}

func uniq(p *Proc) int {
	opt, operands, ok := p.getopt("-cdu")
	if !ok {
		return 1
	}
	lines, status := p.lines(operands)
	var out []string
	for i := 0; i < len(lines); {
		j := i
		for j < len(lines) && lines[j] == lines[i] {
			j++
		}
		line := lines[i]
		if opt.has('c') {
			line = fmt.Sprintf("%7d %s", j-i, line)
		}
		if !(opt.has('d') && j-i == 1) && !(opt.has('u') && j-i > 1) {
			out = append(out, line)
		}
		i = j
	}
	return max(status, p.print(out))
}

func cut(p *Proc) int {
	opt, operands, ok := p.getopt("-d:f:c:b:s")
	if !ok {
		return 1
	}
	list, byField := opt['f'], opt.has('f')
	if !byField {
		list = opt['c'] + opt['b']
	}
	wanted, err := ranges(list)
	if err != nil {
		return p.failf("bad list '%s'", list)
	}
	separator := "\t"
	if opt['d'] != "" {
		separator = opt['d']
	}
	lines, status := p.lines(operands)
	var out []string
	for _, line := range lines {
		if !byField {
			out = append(out, strings.Join(pick(strings.Split(line, ""), wanted), ""))
			continue
		}
		if !strings.Contains(line, separator) {
			if !opt.has('s') {
				out = append(out, line)
			}
			continue
		}
		out = append(out, strings.Join(pick(strings.Split(line, separator), wanted), separator))
	}
	return max(status, p.print(out))
}

// ranges parses a list such as `1,3-5,7-`; an open end is the largest int.
func ranges(list string) ([][2]int, error) {
	var all [][2]int
	for item := range strings.SplitSeq(list, ",") {
		low, high, dash := strings.Cut(item, "-")
		from, to := 1, int(^uint(0)>>1)
		var err error
		if low != "" {
			if from, err = strconv.Atoi(low); err != nil {
				return nil, err
			}
		}
		if !dash {
			to = from
		} else if high != "" {
			if to, err = strconv.Atoi(high); err != nil {
				return nil, err
			}
		}
		if low == "" && high == "" || from < 1 {
			return nil, strconv.ErrRange
		}
		all = append(all, [2]int{from, to})
	}
	return all, nil
}

func pick(parts []string, wanted [][2]int) []string {
	var out []string
	for i, part := range parts {
		if slices.ContainsFunc(wanted, func(r [2]int) bool { return i+1 >= r[0] && i+1 <= r[1] }) {
			out = append(out, part)
		}
	}
	return out
}

// tr translates, deletes (-d) or squeezes (-s) characters; sets know ranges, escapes and the common classes.
func tr(p *Proc) int {
	opt, sets, ok := p.getopt("dsc")
	if !ok || len(sets) == 0 {
		return p.failf("usage: tr [-cds] SET1 [SET2]")
	}
	from := charSet(sets[0])
	var to []byte
	if len(sets) > 1 {
		to = charSet(sets[1])
	}
	if opt.has('c') {
		from = complement(from)
	}
	out, in := bufio.NewWriter(p.Out), bufio.NewReader(p.In)
	last := -1
	for {
		b, err := in.ReadByte()
		if err != nil {
			break
		}
		at := bytes.IndexByte(from, b)
		if at >= 0 && opt.has('d') {
			continue
		}
		if at >= 0 && len(to) > 0 {
			b = to[min(at, len(to)-1)]
		}
		if at >= 0 && opt.has('s') && last == int(b) {
			continue
		}
		last = int(b)
		if out.WriteByte(b) != nil {
			return 1
		}
	}
	if out.Flush() != nil {
		return 1
	}
	return 0
}

func charSet(text string) []byte {
	for class, set := range map[string]string{
		"[:upper:]": "A-Z", "[:lower:]": "a-z", "[:digit:]": "0-9", "[:alpha:]": "A-Za-z", "[:alnum:]": "A-Za-z0-9",
		"[:space:]": " \t-\r", "[:blank:]": " \t", "[:xdigit:]": "0-9A-Fa-f",
	} {
		text = strings.ReplaceAll(text, class, set)
	}
	text = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\0`, "\x00", `\\`, `\`).Replace(text)
	var set []byte
	for i := 0; i < len(text); i++ {
		if i+2 < len(text) && text[i+1] == '-' && text[i+2] >= text[i] {
			for c := int(text[i]); c <= int(text[i+2]); c++ {
				set = append(set, byte(c))
			}
			i += 2
			continue
		}
		set = append(set, text[i])
	}
	return set
}

func complement(set []byte) []byte {
	var rest []byte
	for c := range 256 {
		if bytes.IndexByte(set, byte(c)) < 0 {
			rest = append(rest, byte(c))
		}
	}
	return rest
}

func tee(p *Proc) int {
	opt, names, ok := p.getopt("-ai")
	if !ok {
		return 1
	}
	mode := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if opt.has('a') {
		mode = os.O_CREATE | os.O_WRONLY | os.O_APPEND
	}
	writers, status := []io.Writer{p.Out}, 0
	for _, name := range names {
		f, err := os.OpenFile(name, mode, 0o666)
		if err != nil {
			status = p.fail(err)
			continue
		}
		defer f.Close()
		writers = append(writers, f)
	}
	if _, err := io.Copy(io.MultiWriter(writers...), p.In); err != nil {
		return p.fail(err)
	}
	return status
}

func sha256sum(p *Proc) int {
	return p.each(p.Args[1:], func(name string, r io.Reader) error {
		h := sha256.New()
		if _, err := io.Copy(h, r); err != nil {
			return err
		}
		fmt.Fprintf(p.Out, "%x  %s\n", h.Sum(nil), name)
		return nil
	})
}

func base64Applet(p *Proc) int {
	opt, operands, ok := p.getopt("-dw:")
	if !ok {
		return 1
	}
	return p.each(operands, func(_ string, r io.Reader) error {
		if opt.has('d') {
			_, err := io.Copy(p.Out, base64.NewDecoder(base64.StdEncoding, r))
			return err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		text := base64.StdEncoding.EncodeToString(data)
		width := 76
		if opt['w'] == "0" {
			width = len(text) + 1
		}
		for part := range slices.Chunk([]byte(text), width) {
			fmt.Fprintf(p.Out, "%s\n", part)
		}
		return nil
	})
}
