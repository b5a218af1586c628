package applets

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// test evaluates an expression (POSIX test): 0 true, 1 false, 2 not an expression. As `[` it wants a closing `]`.
func test(p *Proc) int {
	args := p.Args[1:]
	if p.Args[0] == "[" {
		if len(args) == 0 || args[len(args)-1] != "]" {
			p.failf("missing ]")
			return 2
		}
		args = args[:len(args)-1]
	}
	if len(args) == 0 {
		return 1
	}
	t := &testExpr{args: args, in: p}
	value, err := t.or()
	if err == nil && t.at < len(args) {
		err = fmt.Errorf("%s: unexpected operator", args[t.at])
	}
	if err != nil {
		p.failf("%v", err)
		return 2
	}
	if value {
		return 0
	}
	return 1
}

// testExpr is a recursive descent over the words: or, and, not, then a primary.
type testExpr struct {
	args []string
	at   int
	in   *Proc
}

func (t *testExpr) left() int { return len(t.args) - t.at }

func (t *testExpr) is(word string) bool { return t.left() > 0 && t.args[t.at] == word }

func (t *testExpr) or() (bool, error) {
	value, err := t.and()
	for err == nil && t.is("-o") {
		t.at++
		var next bool
		next, err = t.and()
		value = value || next
	}
	return value, err
}

func (t *testExpr) and() (bool, error) {
	value, err := t.not()
	for err == nil && t.is("-a") {
		t.at++
		var next bool
		next, err = t.not()
		value = value && next
	}
	return value, err
}

func (t *testExpr) not() (bool, error) {
	if t.is("!") && t.left() > 1 && !(t.left() >= 3 && isBinary(t.args[t.at+1])) {
		t.at++
		value, err := t.not()
		return !value, err
	}
	return t.primary()
}

func isBinary(op string) bool {
	switch op {
	case "=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef":
		return true
	}
	return false
}

func (t *testExpr) primary() (bool, error) {
	if t.left() == 0 {
		return false, fmt.Errorf("argument expected")
	}
	if t.left() >= 3 && isBinary(t.args[t.at+1]) {
		a, op, b := t.args[t.at], t.args[t.at+1], t.args[t.at+2]
		t.at += 3
		return binaryTest(a, op, b)
	}
	if t.is("(") && t.left() > 2 {
		t.at++
		value, err := t.or()
		if err == nil && !t.is(")") {
			err = fmt.Errorf("closing paren expected")
		}
		t.at++
		return value, err
	}
	word := t.args[t.at]
	t.at++
	if len(word) != 2 || word[0] != '-' || t.left() == 0 || t.is("-a") || t.is("-o") {
		return word != "", nil
	}
	operand := t.args[t.at]
	t.at++
	return t.unary(word[1], operand)
}

func binaryTest(a, op, b string) (bool, error) {
	switch op {
	case "=", "==":
		return a == b, nil
	case "!=":
		return a != b, nil
	case "<":
		return a < b, nil
	case ">":
		return a > b, nil
	case "-nt", "-ot", "-ef":
		return compareFiles(a, op, b), nil
	}
	x, err := strconv.ParseInt(a, 10, 64)
	if err != nil {
		return false, fmt.Errorf("%s: bad number", a)
	}
	y, err := strconv.ParseInt(b, 10, 64)
	if err != nil {
		return false, fmt.Errorf("%s: bad number", b)
	}
	return map[string]bool{"-eq": x == y, "-ne": x != y, "-lt": x < y, "-le": x <= y, "-gt": x > y, "-ge": x >= y}[op], nil
}

func compareFiles(a, op, b string) bool {
	x, xerr := os.Stat(a)
	y, yerr := os.Stat(b)
	switch {
	case op == "-ef":
		return xerr == nil && yerr == nil && os.SameFile(x, y)
	case op == "-nt":
		return xerr == nil && (yerr != nil || x.ModTime().After(y.ModTime()))
	}
	return yerr == nil && (xerr != nil || x.ModTime().Before(y.ModTime()))
}

func (t *testExpr) unary(op byte, operand string) (bool, error) {
	switch op {
	case 'n':
		return operand != "", nil
	case 'z':
		return operand == "", nil
	case 't':
		fd, err := strconv.Atoi(operand)
		if err != nil {
			return false, fmt.Errorf("%s: bad number", operand)
		}
		return isTerminal(fd), nil
	case 'r', 'w', 'x':
		return unix.Faccessat(unix.AT_FDCWD, operand, map[byte]uint32{'r': unix.R_OK, 'w': unix.W_OK, 'x': unix.X_OK}[op], unix.AT_EACCESS) == nil, nil
	}
	look := os.Stat
	if op == 'L' || op == 'h' {
		look = os.Lstat
	}
	info, err := look(operand)
	if err != nil {
		if op == 'e' || isFileTest(op) {
			return false, nil
		}
		return false, fmt.Errorf("-%c: unknown operand", op)
	}
	mode := info.Mode()
	switch op {
	case 'e':
		return true, nil
	case 's':
		return info.Size() > 0, nil
	case 'O':
		return info.Sys().(*syscall.Stat_t).Uid == uint32(os.Geteuid()), nil
	case 'k':
		return mode&os.ModeSticky != 0, nil
	}
	kinds := map[byte]bool{
		'f': mode.IsRegular(), 'd': mode.IsDir(), 'L': mode&os.ModeSymlink != 0, 'h': mode&os.ModeSymlink != 0, 'p': mode&os.ModeNamedPipe != 0,
		'S': mode&os.ModeSocket != 0, 'c': mode&os.ModeCharDevice != 0, 'b': mode&os.ModeDevice != 0 && mode&os.ModeCharDevice == 0,
		'u': mode&os.ModeSetuid != 0, 'g': mode&os.ModeSetgid != 0,
	}
	value, known := kinds[op]
	if !known {
		return false, fmt.Errorf("-%c: unknown operand", op)
	}
	return value, nil
}

func isFileTest(op byte) bool {
	for _, known := range []byte("efdLhpScbugskO") {
		if op == known {
			return true
		}
	}
	return false
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}
