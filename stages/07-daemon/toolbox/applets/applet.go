// Package applets holds the small commands of the toolbox image: one function per command, so that a container has
// something to run when there is no registry. They follow POSIX where it speaks, and busybox where people expect more.
package applets

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"unicode"
)

// Proc is what a command is given: its arguments (Args[0] is the name it was called by) and its three streams.
type Proc struct {
	Args []string
	In   io.Reader
	Out  io.Writer
	Err  io.Writer
}

// Applet runs one command and returns its exit status.
type Applet func(p *Proc) int

// Table names every command of the toolbox but the shell.
func Table() map[string]Applet {
	return map[string]Applet{
		"[": test, "base64": base64Applet, "basename": basename, "cat": cat, "chmod": chmod, "chown": chown, "cp": cp,
		"cut": cut, "date": date, "dd": dd, "df": df, "dirname": dirname, "du": du, "echo": echo, "env": env,
		"false": falseApplet, "find": find, "free": free, "grep": grep, "head": head, "hostname": hostname,
		"httpd": httpd, "id": id, "ip": ip, "kill": kill, "ln": ln, "ls": ls, "mkdir": mkdir, "mktemp": mktemp,
		"mount": mount, "mv": mv, "nc": nc, "nproc": nproc, "nslookup": nslookup, "ping": ping, "printenv": printenv,
		"printf": printf, "ps": ps, "pwd": pwd, "readlink": readlink, "realpath": realpath, "rm": rm, "rmdir": rmdir, "sed": sed,
		"seq": seq, "sha256sum": sha256sum, "sleep": sleep, "sort": sortApplet, "stat": stat, "stty": stty,
		"sync": syncApplet, "tail": tail, "tee": tee, "test": test, "timeout": timeout, "touch": touch, "tr": tr,
		"true": trueApplet, "truncate": truncate, "tty": tty, "umount": umount, "uname": uname, "uniq": uniq,
		"uptime": uptime, "wc": wc, "wget": wget, "which": which, "whoami": whoami, "xargs": xargs, "yes": yes,
	}
}

// failf prints a message the way commands do (`name: message`) and returns status 1.
func (p *Proc) failf(format string, args ...any) int {
	fmt.Fprintf(p.Err, "%s: %s\n", p.Args[0], fmt.Sprintf(format, args...))
	return 1
}

// fail prints an error of a system call as `name: path: Reason` and returns status 1.
func (p *Proc) fail(err error) int {
	return p.failf("%s", Reason(err))
}

// Reason words an error as the C library's tools do: the path, then the errno's text with a capital.
func Reason(err error) string {
	var path *os.PathError
	var link *os.LinkError
	var sys *os.SyscallError
	switch {
	case errors.As(err, &path):
		return path.Path + ": " + capital(path.Err)
	case errors.As(err, &link):
		return link.New + ": " + capital(link.Err)
	case errors.As(err, &sys):
		return sys.Syscall + ": " + capital(sys.Err)
	}
	return capital(err)
}

func capital(err error) string {
	text := err.Error()
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		text = errno.Error()
		return string(unicode.ToUpper(rune(text[0]))) + text[1:]
	}
	return text
}

// flags is the result of getopt(3)-like parsing: letters seen, with their last argument.
type flags map[byte]string

func (f flags) has(letter byte) bool {
	_, ok := f[letter]
	return ok
}

// getopt parses POSIX options: spec lists the letters, `:` after one that takes an argument. It stops at the first
// operand unless mixed options are wanted (spec starts with `-`, as in getopt(3) with permutation).
func (p *Proc) getopt(spec string) (flags, []string, bool) {
	permute := strings.HasPrefix(spec, "-")
	spec = strings.TrimPrefix(spec, "-")
	found, operands := flags{}, []string{}
	args := p.Args[1:]
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" {
			return found, append(operands, args[1:]...), true
		}
		if len(arg) < 2 || arg[0] != '-' {
			if !permute {
				return found, append(operands, args...), true
			}
			operands, args = append(operands, arg), args[1:]
			continue
		}
		used, ok := p.letters(found, spec, args)
		if !ok {
			return nil, nil, false
		}
		args = args[used:]
	}
	return found, operands, true
}

// letters takes one word of options (`-la`, `-n5`, `-n 5`) and tells how many words it used.
func (p *Proc) letters(found flags, spec string, args []string) (int, bool) {
	word := args[0][1:]
	for i := 0; i < len(word); i++ {
		at := strings.IndexByte(spec, word[i])
		if at < 0 || word[i] == ':' {
			p.failf("unrecognized option: %s", args[0])
			return 0, false
		}
		if at+1 == len(spec) || spec[at+1] != ':' {
			found[word[i]] = ""
			continue
		}
		if rest := word[i+1:]; rest != "" {
			found[word[i]] = rest
			return 1, true
		}
		if len(args) < 2 {
			p.failf("option requires an argument: %c", word[i])
			return 0, false
		}
		found[word[i]] = args[1]
		return 2, true
	}
	return 1, true
}

// each opens every operand (`-` or none means standard input) and hands it to use; errors of one do not stop the rest.
func (p *Proc) each(operands []string, use func(name string, r io.Reader) error) int {
	if len(operands) == 0 {
		operands = []string{"-"}
	}
	status := 0
	for _, name := range operands {
		if err := p.one(name, use); err != nil {
			status = p.fail(err)
		}
	}
	return status
}

func (p *Proc) one(name string, use func(string, io.Reader) error) error {
	if name == "-" {
		return use(name, p.In)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return use(name, f)
}
