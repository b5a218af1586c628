package runflags

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/moby/moby/api/types/container"
)

// process compiles what is run: names, user, directory, entry point, environment and labels.
func (f *Flags) process(r *Request, from Sources) error {
	c := r.Config
	c.Hostname, c.Domainname, c.User, c.WorkingDir = f.Hostname, f.Domainname, f.User, f.Workdir
	c.Tty, c.OpenStdin = f.TTY, f.Interactive
	if f.given("entrypoint") || f.Entrypoint != "" {
		c.Entrypoint = []string{f.Entrypoint} // [""] asks for no entry point at all
	}
	var err error
	if c.Env, err = environment(f.EnvFile, f.Env, from); err != nil {
		return err
	}
	labels, err := linesOf(f.LabelFile, from)
	if err != nil {
		return err
	}
	c.Labels = pairs(append(labels, f.Labels...))
	r.HostConfig.Annotations = pairs(f.Annotations)
	r.Platform, err = platform(f.Platform)
	return err
}

// environment joins files and flags. A name without `=` takes its value from the client's own environment, and is left out where
// that has none.
func environment(files, flags []string, from Sources) ([]string, error) {
	fromFiles, err := linesOf(files, from)
	if err != nil {
		return nil, err
	}
	var env []string
	for _, word := range append(fromFiles, flags...) {
		name, _, given := strings.Cut(word, "=")
		if name == "" {
			return nil, fmt.Errorf("invalid environment variable: %s", word)
		}
		if !given {
			value, ok := from.LookupEnv(name)
			if !ok {
				continue
			}
			word = name + "=" + value
		}
		env = append(env, word)
	}
	return env, nil
}

// linesOf reads files of NAME=VALUE lines; empty lines and those that start with # are left out.
func linesOf(files []string, from Sources) ([]string, error) {
	var all []string
	for _, name := range files {
		text, err := from.ReadFile(name)
		if err != nil {
			return nil, err
		}
		scanner := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))))
		for scanner.Scan() {
			line := strings.TrimLeftFunc(scanner.Text(), unicode.IsSpace)
			if line == "" || line[0] == '#' {
				continue
			}
			key, _, _ := strings.Cut(line, "=")
			if strings.ContainsFunc(key, unicode.IsSpace) {
				return nil, fmt.Errorf("invalid env file (%s): variable '%s' contains whitespaces", name, key)
			}
			if key == "" {
				return nil, fmt.Errorf("invalid env file (%s): no variable name on line '%s'", name, line)
			}
			all = append(all, line)
		}
		if err := scanner.Err(); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return all, nil
}

// streams compiles which streams the client attaches: -a names them; without it all outputs, and stdin with -i.
func (f *Flags) streams(r *Request, _ Sources) error {
	c := r.Config
	for _, name := range f.Attach {
		switch strings.ToLower(name) {
		case "stdin":
			c.AttachStdin = true
		case "stdout":
			c.AttachStdout = true
		case "stderr":
			c.AttachStderr = true
		default:
			return FlagError{name, "attach", errors.New("valid streams are STDIN, STDOUT and STDERR")}
		}
	}
	if len(f.Attach) == 0 && !f.Detach {
		c.AttachStdout, c.AttachStderr, c.AttachStdin = true, true, f.Interactive
	}
	c.StdinOnce = c.OpenStdin && c.AttachStdin
	return nil
}

// lifecycle compiles how the container ends, restarts and logs.
func (f *Flags) lifecycle(r *Request, _ Sources) error {
	c, h := r.Config, r.HostConfig
	c.StopSignal = f.StopSignal
	if f.given("stop-timeout") {
		c.StopTimeout = &f.StopTimeout
	}
	h.Isolation = container.Isolation(f.Isolation)
	h.AutoRemove, h.Runtime, h.ContainerIDFile = f.Remove, f.Runtime, f.CIDFile
	if f.given("init") {
		h.Init = &f.Init
	}
	var err error
	if h.RestartPolicy, err = restartPolicy(f.Restart); err != nil {
		return err
	}
	if h.AutoRemove && h.RestartPolicy.Name != "" && h.RestartPolicy.Name != container.RestartPolicyDisabled {
		return fmt.Errorf("conflicting options: cannot specify both --restart and --rm")
	}
	h.LogConfig.Type = f.LogDriver
	h.LogConfig.Config = pairs(f.LogOpts)
	if f.LogDriver == "none" && len(f.LogOpts) > 0 {
		return fmt.Errorf("invalid logging opts for driver none")
	}
	return nil
}

func restartPolicy(text string) (container.RestartPolicy, error) {
	if text == "" {
		return container.RestartPolicy{}, nil
	}
	name, count, given := strings.Cut(text, ":")
	policy := container.RestartPolicy{Name: container.RestartPolicyMode(name)}
	if name == "" {
		return policy, fmt.Errorf("invalid restart policy format: no policy provided before colon")
	}
	if given {
		n, err := strconv.Atoi(count)
		if err != nil {
			return policy, fmt.Errorf("invalid restart policy format: maximum retry count must be an integer")
		}
		policy.MaximumRetryCount = n
	}
	return policy, nil
}
