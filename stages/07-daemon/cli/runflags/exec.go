package runflags

import (
	"github.com/moby/moby/client"
	"github.com/spf13/pflag"
)

// Exec are the flags of `exec`.
type Exec struct {
	Interactive, TTY, Privileged bool
	User, Workdir                string
	Env, EnvFile                 []string
}

// Bind declares the flags.
func (e *Exec) Bind(fs *pflag.FlagSet) {
	fs.BoolVarP(&e.Interactive, "interactive", "i", false, "Keep STDIN open even if not attached")
	fs.BoolVarP(&e.TTY, "tty", "t", false, "Allocate a pseudo-TTY")
	fs.BoolVar(&e.Privileged, "privileged", false, "Give extended privileges to the command")
	fs.StringVarP(&e.User, "user", "u", "", `Username or UID (format: "<name|uid>[:<group|gid>]")`)
	fs.StringVarP(&e.Workdir, "workdir", "w", "", "Working directory inside the container")
	fs.VarP(list(&e.Env), "env", "e", "Set environment variables")
	fs.Var(list(&e.EnvFile), "env-file", "Read in a file of environment variables")
}

// Compile turns the flags and the command into a request.
func (e *Exec) Compile(command []string, detach bool, from Sources) (client.ExecCreateOptions, error) {
	env, err := environment(e.EnvFile, e.Env, from)
	return client.ExecCreateOptions{
		User: e.User, Privileged: e.Privileged, TTY: e.TTY, WorkingDir: e.Workdir, Env: env, Cmd: command,
		AttachStdin: e.Interactive && !detach, AttachStdout: !detach, AttachStderr: !detach,
	}, err
}
