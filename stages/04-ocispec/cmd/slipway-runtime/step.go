package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// everyStep is what --step means without a value.
const everyStep = "*"

// errAborted ends a launch on request: what it has made so far goes again.
var errAborted = errors.New("aborted")

// debugger stops a launch before some of its steps and lets a person look on from outside meanwhile.
type debugger struct {
	in    io.Reader
	out   io.Writer
	stops []string // as given: "*", numbers, parts of names

	lines chan string // what is typed; closed at its end
	plan  *launch.Plan
	run   *launch.Run
	at    map[int]bool // indexes of the steps to stop before
	each  bool         // stop before whatever comes next
}

// begin turns what was asked for into steps. A request that no step can fulfil is an error now, not a run without a stop.
func (d *debugger) begin(p *launch.Plan, r *launch.Run) error {
	d.plan, d.run, d.lines, d.at = p, r, make(chan string), map[int]bool{}
	go d.listen() // ends with this process: a read of a terminal cannot be ended
	for _, stop := range d.stops {
		if stop == everyStep {
			d.each = true
			continue
		}
		found, err := d.find(stop, 0)
		if err != nil {
			return fmt.Errorf("--step=%s: %w", stop, err)
		}
		for _, n := range found {
			d.at[n] = true
		}
	}
	return nil
}

// find looks for steps by number, as explain counts them, or by a part of their names, from one on.
func (d *debugger) find(what string, from int) ([]int, error) {
	seen := d.plan.Watched()
	number, err := strconv.Atoi(what)
	var found []int
	unseen := ""
	for n, s := range d.plan.Steps {
		if n < from || !(err == nil && number == n+1 || err != nil && strings.Contains(s.Name, what)) {
			continue
		}
		if n < seen {
			found = append(found, n)
		} else {
			unseen = s.Name
		}
	}
	switch {
	case len(found) > 0:
		return found, nil
	case unseen != "":
		return nil, fmt.Errorf("nobody can stop before %q: the child performs what comes behind step %d, %q, unseen", unseen, seen, d.plan.Steps[seen-1].Name)
	case from > 0:
		return nil, errors.New("no step from here on has that number or name")
	}
	return nil, fmt.Errorf("no step has that number or name; there are %d, explain lists them", len(d.plan.Steps))
}

func (d *debugger) before(n int, s launch.Step) error {
	if !d.each && !d.at[n] {
		return nil
	}
	d.show(n, s)
	return d.ask(n)
}

func (d *debugger) show(n int, s launch.Step) {
	fmt.Fprintf(d.out, "\nstep %d of %d, %s: %s\n    because %s\n", n+1, len(d.plan.Steps), s.Side, s.Name, s.Because)
	pid := d.run.PID()
	if pid == 0 {
		fmt.Fprintln(d.out, "    there is no child yet")
		return
	}
	fmt.Fprintf(d.out, "    child %d waits; look: cat /proc/%d/mountinfo, ls -l /proc/%d/ns /proc/%d/fd, nsenter -t %d -m -u -i -n -p\n", pid, pid, pid, pid, pid)
}

const keys = "[Enter] or s: step, c: continue, r NAME: run to a step, l: list, q: abort"

// ask reads what to do. The end of the input means to go on, so that a script can answer only the first questions.
func (d *debugger) ask(n int) error {
	for {
		fmt.Fprintf(d.out, "    %s > ", keys)
		line, err := d.read()
		if errors.Is(err, io.EOF) {
			fmt.Fprintln(d.out)
			d.each, d.at = false, nil
			return nil
		} else if err != nil {
			return err
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb {
		case "", "s", "step":
			d.each = true
			return nil
		case "c", "continue":
			d.each = false
			return nil
		case "r", "run":
			found, err := d.find(strings.TrimSpace(rest), n+1)
			if err != nil || rest == "" {
				fmt.Fprintf(d.out, "    %s: %v\n", rest, err)
				continue
			}
			d.each, d.at[found[0]] = false, true
			return nil
		case "l", "list":
			d.list(n)
		case "q", "abort":
			return errAborted
		default:
			fmt.Fprintf(d.out, "    %s: no such key\n", verb)
		}
	}
}

// read waits for a line, or for Ctrl-C, which means to abort: to die of it would leave half a container behind.
func (d *debugger) read() (string, error) {
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt)
	defer signal.Stop(interrupt)
	select {
	case <-interrupt:
		fmt.Fprintln(d.out)
		return "", errAborted
	case line, ok := <-d.lines:
		if !ok {
			return "", io.EOF
		}
		return line, nil
	}
}

// listen passes on the lines that are typed.
func (d *debugger) listen() {
	defer close(d.lines)
	for typed := bufio.NewScanner(d.in); typed.Scan(); {
		d.lines <- typed.Text()
	}
}

// list prints the plan with a mark at the step that comes next and at those where it will stop.
func (d *debugger) list(n int) {
	for i, s := range d.plan.Steps {
		mark := " "
		switch {
		case i == n:
			mark = ">"
		case d.at[i]:
			mark = "*"
		}
		fmt.Fprintf(d.out, " %s %3d  %-6s  %s\n", mark, i+1, s.Side, s.Name)
	}
}
