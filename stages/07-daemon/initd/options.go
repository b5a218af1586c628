// Package initd is a container's process 1 for programs that were not written to be one: it passes signals on, collects
// the orphans that the kernel hands to process 1 (pid_namespaces(7)), and ends as its one child ended.
//
// It stands where tini stands, with tini's options. It is mounted into every container that is run with --init, so it
// stays small: no fmt, no flag, no os/exec.
package initd

import (
	"errors"
	"strconv"
	"syscall"
)

// Options are what the command line and the environment ask for.
type Options struct {
	Subreaper bool           // -s: be given orphans though not process 1 (prctl(2), PR_SET_CHILD_SUBREAPER)
	Group     bool           // -g: signals go to the child's whole process group
	Warn      bool           // -w: say so when an orphan is collected
	Version   bool           // --version
	Help      bool           // -h
	Parent    syscall.Signal // -p SIGNAL: what we get when our parent dies; 0: nothing
	Expect    [256]bool      // -e CODE: child's codes that count as success
	Command   []string
}

// Usage is printed for -h and with errors.
const Usage = `usage: slipway-init [-s] [-g] [-w] [-v] [-p SIGNAL] [-e CODE] [--] PROGRAM [ARG...]
       slipway-init --version
`

// Parse reads the command line as getopt does: short options may be joined, the first other word ends them.
// getenv gives TINI_SUBREAPER and TINI_KILL_PROCESS_GROUP, which count when they are set to anything.
func Parse(args []string, getenv func(string) string) (Options, error) {
	o := Options{
		Subreaper: getenv("TINI_SUBREAPER") != "",
		Group:     getenv("TINI_KILL_PROCESS_GROUP") != "",
	}
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		if word == "--version" {
			o.Version = true
			return o, nil
		}
		rest, err := o.short(word[1:], args)
		if err != nil {
			return o, err
		}
		args = rest
	}
	o.Command = args
	if len(args) == 0 && !o.Help {
		return o, errors.New("no program named")
	}
	return o, nil
}

// short reads one word of joined options; an option's value is the rest of the word or the next word.
func (o *Options) short(letters string, args []string) ([]string, error) {
	for i := range len(letters) {
		switch letters[i] {
		case 's':
			o.Subreaper = true
		case 'g':
			o.Group = true
		case 'w':
			o.Warn = true
		case 'h':
			o.Help = true
		case 'v':
		case 'p', 'e':
			value := letters[i+1:]
			if value == "" {
				if len(args) == 0 {
					return nil, errors.New("option -" + letters[i:i+1] + " wants a value")
				}
				value, args = args[0], args[1:]
			}
			return args, o.valued(letters[i], value)
		default:
			return nil, errors.New("unknown option -" + letters[i:i+1])
		}
	}
	return args, nil
}

func (o *Options) valued(letter byte, value string) error {
	if letter == 'e' {
		code, err := strconv.Atoi(value)
		if err != nil || code < 0 || code > 255 {
			return errors.New("option -e: " + value + " is no exit code")
		}
		o.Expect[code] = true
		return nil
	}
	if o.Parent = signalNamed(value); o.Parent == 0 {
		return errors.New("option -p: " + value + " is no signal")
	}
	return nil
}

// signalNamed knows the signals one ends a program with, as tini does; 0 for others.
func signalNamed(name string) syscall.Signal {
	switch name {
	case "SIGKILL":
		return syscall.SIGKILL
	case "SIGTERM":
		return syscall.SIGTERM
	case "SIGINT":
		return syscall.SIGINT
	case "SIGHUP":
		return syscall.SIGHUP
	case "SIGQUIT":
		return syscall.SIGQUIT
	case "SIGUSR1":
		return syscall.SIGUSR1
	case "SIGUSR2":
		return syscall.SIGUSR2
	}
	return 0
}
