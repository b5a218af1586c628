package shell

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// environ shows the shell's variables and special parameters to the expander.
type environ struct{ s *Shell }

// Get answers $name and the special parameters (POSIX 2.5.2).
func (e environ) Get(name string) expand.Variable {
	text := func(value string) expand.Variable {
		return expand.Variable{Set: true, Kind: expand.String, Str: value}
	}
	s := e.s
	switch name {
	case "#":
		return text(strconv.Itoa(len(s.params)))
	case "@", "*":
		return expand.Variable{Set: true, Kind: expand.Indexed, List: s.params}
	case "?":
		return text(strconv.Itoa(s.status))
	case "$":
		return text(strconv.Itoa(s.pid))
	case "PPID":
		return text(strconv.Itoa(os.Getppid()))
	case "-":
		return text(s.set.letters())
	case "!":
		if s.bang == 0 {
			return expand.Variable{}
		}
		return text(strconv.Itoa(s.bang))
	case "0":
		return text(s.name)
	}
	if n, ok := atoi(name); ok {
		if n <= len(s.params) {
			return text(s.params[n-1])
		}
		return expand.Variable{}
	}
	return s.vars[name]
}

// Each lists the variables in the order of their names.
func (e environ) Each(use func(string, expand.Variable) bool) {
	for _, name := range slices.Sorted(maps.Keys(e.s.vars)) {
		if !use(name, e.s.vars[name]) {
			return
		}
	}
}

// Set is called by ${x:=y} and $((x = 1)).
func (e environ) Set(name string, v expand.Variable) error {
	if e.s.vars[name].ReadOnly {
		return fmt.Errorf("%s: is read only", name)
	}
	v.Exported = v.Exported || e.s.vars[name].Exported
	e.s.vars[name] = v
	return nil
}

// assign sets a variable and keeps its attributes; a read-only one stays and false is returned.
func (s *Shell) assign(name, value string) bool {
	v := s.vars[name]
	if v.ReadOnly {
		s.complain("%s: is read only", name)
		return false
	}
	v.Set, v.Kind, v.Str = true, expand.String, value
	s.vars[name] = v
	return true
}

// exported is the environment of a command: exported variables and the assignments before its name.
func (s *Shell) exported(extra map[string]string) []string {
	env := map[string]string{}
	for name, v := range s.vars {
		if v.Exported && v.IsSet() {
			env[name] = v.Str
		}
	}
	maps.Copy(env, extra)
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// config is what the expander may use: variables, directories for globbing, and ourselves for $(…).
func (s *Shell) config() *expand.Config {
	c := &expand.Config{Env: environ{s}, CmdSubst: s.substitute, NoUnset: s.set.nounset, ReadDir2: os.ReadDir}
	if s.set.noglob {
		c.ReadDir2 = nil
	}
	return c
}

// expansionFailed reports an error of an expansion; a script ends there (POSIX 2.8.1).
func (s *Shell) expansionFailed(err error) {
	s.complain("%v", err)
	s.status = 2
	if !s.set.interactive {
		s.flow = flow{kind: flowExit}
	}
}

// fields expands words into arguments.
func (s *Shell) fields(words []*syntax.Word) ([]string, bool) {
	list, err := expand.Fields(s.config(), words...)
	if err != nil {
		s.expansionFailed(err)
		return nil, false
	}
	return list, true
}

// literal expands one word without splitting: a value, a file name, the subject of case.
func (s *Shell) literal(word *syntax.Word) (string, bool) {
	if word == nil {
		return "", true
	}
	text, err := expand.Literal(s.config(), unescaped(word))
	if err != nil {
		s.expansionFailed(err)
		return "", false
	}
	return text, true
}

// unescaped turns `\x` outside quotes into 'x': expand.Literal leaves such backslashes in place (v3.14.1), expand.Fields does not.
func unescaped(word *syntax.Word) *syntax.Word {
	var parts []syntax.WordPart
	for _, part := range word.Parts {
		lit, ok := part.(*syntax.Lit)
		if !ok || !strings.Contains(lit.Value, `\`) {
			parts = append(parts, part)
			continue
		}
		rest := lit.Value
		for {
			at := strings.IndexByte(rest, '\\')
			if at < 0 || at == len(rest)-1 {
				break
			}
			_, size := utf8.DecodeRuneInString(rest[at+1:])
			parts = append(parts, &syntax.Lit{Value: rest[:at]}, &syntax.SglQuoted{Value: rest[at+1 : at+1+size]})
			rest = rest[at+1+size:]
		}
		parts = append(parts, &syntax.Lit{Value: rest})
	}
	return &syntax.Word{Parts: parts}
}

// declared expands the arguments of export, readonly and local, in which `name=value` is not split (as ash does).
func (s *Shell) declared(words []*syntax.Word) ([]string, bool) {
	var all []string
	for _, word := range words {
		if lit, ok := word.Parts[0].(*syntax.Lit); ok {
			if name, _, found := strings.Cut(lit.Value, "="); found && syntax.ValidName(name) {
				text, ok := s.literal(word)
				if !ok {
					return nil, false
				}
				all = append(all, text)
				continue
			}
		}
		list, ok := s.fields([]*syntax.Word{word})
		if !ok {
			return nil, false
		}
		all = append(all, list...)
	}
	return all, true
}
