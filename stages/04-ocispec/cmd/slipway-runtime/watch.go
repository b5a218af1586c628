package main

import (
	"os"

	"github.com/spf13/pflag"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// watchOptions are the flags of create, run and exec that let somebody look on.
type watchOptions struct {
	trace bool
	step  []string
}

func (o *watchOptions) flags(f *pflag.FlagSet) {
	f.BoolVar(&o.trace, "trace", false, "print what each step took, by the clock of the side that performed it")
	f.StringArrayVar(&o.step, "step", nil, "stop before each step, or before those with a number or a part of a name; may be repeated")
	f.Lookup("step").NoOptDefVal = everyStep
}

// launch is what the flags and --debug ask of package launch.
func (o *watchOptions) launch(g *global) launch.Options {
	var watch launch.Options
	if o.trace {
		watch.Trace = new(launch.Trace)
	}
	if g.out.debug {
		narrate(&watch, g.out.debugf)
	}
	if len(o.step) > 0 {
		in, out := console()
		d := &debugger{in: in, out: out, stops: o.step}
		join(&watch, d.begin, d.before)
	}
	return watch
}

// join adds two more calls to those that a launch makes already.
func join(o *launch.Options, begin func(*launch.Plan, *launch.Run) error, before func(int, launch.Step) error) {
	earlier := *o
	o.Begin = func(p *launch.Plan, r *launch.Run) error {
		if earlier.Begin != nil {
			if err := earlier.Begin(p, r); err != nil {
				return err
			}
		}
		return begin(p, r)
	}
	o.Before = func(n int, s launch.Step) error {
		if earlier.Before != nil {
			if err := earlier.Before(n, s); err != nil {
				return err
			}
		}
		return before(n, s)
	}
}

// narrate writes each step into the debug log when it begins: the last line before a hang or a crash names the culprit. Who
// reads runc's debug log looks for some of its words; they stand where the same thing happens here.
func narrate(o *launch.Options, say func(string, ...any)) {
	var plan *launch.Plan
	var run *launch.Run
	born := false
	join(o,
		func(p *launch.Plan, r *launch.Run) error {
			plan, run = p, r
			say("nsexec container setup: a list of %d steps, performed by raw system calls", len(p.Steps))
			return nil
		},
		func(n int, s launch.Step) error {
			if !born && run.PID() != 0 {
				born = true
				say("child process in init(): pid %d", run.PID())
			}
			say("step %d of %d, %s: %s", n+1, len(plan.Steps), s.Side, s.Name)
			if n+1 == plan.Watched() {
				sayEnd(plan, n, say)
			}
			return nil
		})
}

// sayEnd tells what the child does alone from here on.
func sayEnd(p *launch.Plan, n int, say func(string, ...any)) {
	for _, s := range p.Steps[n+1:] {
		say("then, by itself: %s", s.Name)
	}
	if p.Steps[n].Returns {
		say("init: closing the pipe to signal completion: the child goes on to its start gate")
		return
	}
	say("setns_init: about to exec: the child's socket closes with execve")
}

// console is the terminal itself, so that standard input stays the program's; without one it is standard input and error.
func console() (in, out *os.File) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return os.Stdin, os.Stderr
	}
	return tty, tty
}
