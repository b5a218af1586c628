package launch

import "golang.org/x/sys/unix"

// ExecAs is Exec for a program that is found at path, whatever its first argument says.
func ExecAs(path string, argv, env []string) Step {
	return Step{
		Name: "execve " + path, Because: "execve(2); success closes the talk socket, silence is success", Side: Child,
		Code: []Instr{Call(unix.SYS_EXECVE, Str(path), Strs(argv), Strs(env))},
	}
}
