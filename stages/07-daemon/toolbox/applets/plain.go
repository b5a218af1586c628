package applets

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func trueApplet(*Proc) int  { return 0 }
func falseApplet(*Proc) int { return 1 }

// echo knows -n and -e, alone or together, as busybox does; any other word is text.
func echo(p *Proc) int {
	args, newline, escapes := p.Args[1:], true, false
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && strings.Trim(args[0][1:], "neE") == "" {
		newline = newline && !strings.Contains(args[0], "n")
		escapes = escapes || strings.Contains(args[0], "e")
		args = args[1:]
	}
	text := strings.Join(args, " ")
	if escapes {
		f := &formatter{}
		text = f.unescape(text)
		newline = newline && !f.stopped
	}
	if newline {
		text += "\n"
	}
	if _, err := fmt.Fprint(p.Out, text); err != nil {
		return p.failf("write error: %s", capital(err))
	}
	return 0
}

// sleep takes seconds with an optional fraction and the suffixes s, m, h, d; several are added.
func sleep(p *Proc) int {
	if len(p.Args) < 2 {
		return p.failf("missing operand")
	}
	total := time.Duration(0)
	for _, arg := range p.Args[1:] {
		d, err := duration(arg)
		if err != nil {
			return p.failf("invalid number '%s'", arg)
		}
		total += d
	}
	time.Sleep(total)
	return 0
}

func duration(arg string) (time.Duration, error) {
	if arg == "infinity" || arg == "inf" {
		return 1<<63 - 1, nil
	}
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	unit := time.Second
	if arg != "" && units[arg[len(arg)-1]] != 0 {
		unit, arg = units[arg[len(arg)-1]], arg[:len(arg)-1]
	}
	n, err := strconv.ParseFloat(arg, 64)
	if err != nil || n < 0 {
		return 0, strconv.ErrSyntax
	}
	return time.Duration(n * float64(unit)), nil
}

func yes(p *Proc) int {
	text := "y\n"
	if len(p.Args) > 1 {
		text = strings.Join(p.Args[1:], " ") + "\n"
	}
	block := []byte(strings.Repeat(text, max(1, 8192/len(text))))
	for {
		if _, err := p.Out.Write(block); err != nil {
			return 1
		}
	}
}

func seq(p *Proc) int {
	first, step, last := 1.0, 1.0, 0.0
	args := p.Args[1:]
	numbers := make([]float64, len(args))
	for i, arg := range args {
		n, err := strconv.ParseFloat(arg, 64)
		if err != nil {
			return p.failf("invalid number '%s'", arg)
		}
		numbers[i] = n
	}
	switch len(args) {
	case 1:
		last = numbers[0]
	case 2:
		first, last = numbers[0], numbers[1]
	case 3:
		first, step, last = numbers[0], numbers[1], numbers[2]
	default:
		return p.failf("usage: seq [FIRST [STEP]] LAST")
	}
	if step == 0 {
		return p.failf("step must not be zero")
	}
	out := bufio.NewWriter(p.Out)
	for i := 0; ; i++ {
		n := first + float64(i)*step
		if step > 0 && n > last || step < 0 && n < last {
			break
		}
		if _, err := out.WriteString(strconv.FormatFloat(n, 'f', -1, 64) + "\n"); err != nil {
			return 1
		}
	}
	if out.Flush() != nil {
		return 1
	}
	return 0
}

func basename(p *Proc) int {
	if len(p.Args) < 2 {
		return p.failf("usage: basename FILE [SUFFIX]")
	}
	name := filepath.Base(p.Args[1])
	if len(p.Args) > 2 && name != p.Args[2] {
		name = strings.TrimSuffix(name, p.Args[2])
	}
	fmt.Fprintln(p.Out, name)
	return 0
}

func dirname(p *Proc) int {
	if len(p.Args) < 2 {
		return p.failf("usage: dirname FILE")
	}
	fmt.Fprintln(p.Out, filepath.Dir(strings.TrimRight(p.Args[1], "/")+map[bool]string{true: "/x"}[strings.Trim(p.Args[1], "/") == "" && p.Args[1] != ""]))
	return 0
}

func pwd(p *Proc) int {
	dir, err := os.Getwd()
	if err != nil {
		return p.fail(err)
	}
	fmt.Fprintln(p.Out, dir)
	return 0
}

// timeout ends a command after a time: TERM first (or -s), KILL after -k more.
func timeout(p *Proc) int {
	opt, args, ok := p.getopt("s:k:")
	if !ok || len(args) < 2 {
		return p.failf("usage: timeout [-s SIG] [-k SECS] SECS COMMAND [ARG]...")
	}
	limit, err := duration(args[0])
	if err != nil {
		return p.failf("invalid number '%s'", args[0])
	}
	sig := syscall.SIGTERM
	if name, given := opt['s']; given {
		if sig, ok = SignalOf(name); !ok {
			return p.failf("bad signal name: %s", name)
		}
	}
	proc, status := p.start(args[1:])
	if proc == nil {
		return status
	}
	timer := time.AfterFunc(limit, func() {
		_ = proc.Signal(sig) // it may have ended in this moment; then there is nothing to do
		if more, err := duration(opt['k']); err == nil {
			time.Sleep(more)
			_ = proc.Kill()
		}
	})
	forward := make(chan os.Signal, 1)
	signal.Notify(forward, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for s := range forward {
			_ = proc.Signal(s)
		}
	}()
	state, err := proc.Wait()
	if err != nil {
		return p.fail(err)
	}
	if !timer.Stop() {
		return 124
	}
	return statusOf(state)
}
