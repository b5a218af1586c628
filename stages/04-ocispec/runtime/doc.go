// Package runtime is a container runtime as a library: it carries out what an OCI runtime is asked for, create, start, state,
// kill, delete and the rest of runc's verbs. Each verb is a file. What a container is made of is decided in package plan; what
// its status is, in package lifecycle. The program slipway-runtime is this package with a command line.
//
// # What a caller has to know
//
// A container's first process, and one that Exec starts, is a child of the calling process: whoever called Create waits for it
// ([launch.Process.Wait]), once. A caller that ends before leaves it to the nearest subreaper ([Subreaper]).
//
// No operation changes the calling process: not its working directory, its umask, its namespaces or its signal handling, but for
// [Forward] and [Foreground], which say so. So operations on different containers may run at once in as many goroutines, and
// several programs may share a root directory: an operation that changes a container holds its lock (flock(2)) meanwhile.
//
// A program that lets an image choose what is executed should run from a file that cannot be written (CVE-2019-5736): an image
// may name /proc/self/exe, which then is the caller's program. Package readonly arranges that for slipway-runtime.
//
// A cancelled context ends waiting and kills what is being made; what has been made already is undone even then, within ten
// seconds.
//
// # Errors
//
//   - [ErrNotExist], [ErrExist]: there is no container of that id, or there is one
//   - *[lifecycle.Error]: the container's status does not allow the operation
//   - *[ProgramError]: the container's program could not be found or executed
//   - *[launch.StepError]: a step of the plan has failed; errors.Is sees the kernel's errno behind it
//   - *criu.Error: criu(8) has refused a checkpoint or a restore
//   - *[cgroup.NoControllerError]: the machine cannot set what config.json asks for
//
// What is wrong with a config.json is told in words that name the field, or the line and column. Texts that engines compare are
// runc's.
//
// Reading order: runtime.go, create.go, start.go.
package runtime

import "github.com/slipway-engine/slipway/stages/04-ocispec/state"

// The errors for an id, worded as runc words them: callers of runc compare the text.
var (
	ErrNotExist = state.ErrNotExist
	ErrExist    = state.ErrExist
)
