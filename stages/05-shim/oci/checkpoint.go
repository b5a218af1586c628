package oci

// CRIUOptions are the flags that checkpoint and restore both have.
type CRIUOptions struct {
	ImagePath, WorkPath string
	TCPEstablished      bool
	ExternalUnixSockets bool
	ShellJob            bool
	FileLocks           bool
	EmptyNamespaces     []string
	CgroupsMode         string // "": the runtime's default
}

// CheckpointOptions are checkpoint's flags.
type CheckpointOptions struct {
	CRIUOptions
	ParentPath   string // an earlier checkpoint, relative to ImagePath; "": none
	LeaveRunning bool
}

// RestoreOptions are restore's flags beside the bundle.
type RestoreOptions struct {
	CRIUOptions
	PidFile       string
	ConsoleSocket string
	NoPivot       bool
	Stdio         Stdio
}

func (o CRIUOptions) args() []string {
	args := []string{"--image-path", o.ImagePath, "--work-path", o.WorkPath}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{o.TCPEstablished, "--tcp-established"},
		{o.ExternalUnixSockets, "--ext-unix-sk"},
		{o.ShellJob, "--shell-job"},
		{o.FileLocks, "--file-locks"},
	} {
		if f.on {
			args = append(args, f.name)
		}
	}
	for _, ns := range o.EmptyNamespaces {
		args = append(args, "--empty-ns", ns)
	}
	if o.CgroupsMode != "" {
		args = append(args, "--manage-cgroups-mode", o.CgroupsMode)
	}
	return args
}

// Checkpoint writes the container's processes to files, and unless it shall go on, ends it.
func (r *Runtime) Checkpoint(id, bundle string, o CheckpointOptions) error {
	args := append([]string{"checkpoint"}, o.args()...)
	if o.ParentPath != "" {
		args = append(args, "--parent-path", o.ParentPath)
	}
	if o.LeaveRunning {
		args = append(args, "--leave-running")
	}
	return r.run(call{log: r.log(bundle), args: append(args, id)})
}

// Restore makes a container from such files and leaves it running. Its first process outlives the runtime, as a child of ours.
func (r *Runtime) Restore(id, bundle string, o RestoreOptions) error {
	args := append([]string{"restore", "--detach", "--no-subreaper", "--bundle", bundle, "--pid-file", o.PidFile}, o.args()...)
	if o.ConsoleSocket != "" {
		args = append(args, "--console-socket", o.ConsoleSocket)
	}
	if o.NoPivot {
		args = append(args, "--no-pivot")
	}
	return r.run(call{log: r.log(bundle), args: append(args, id), stdio: o.Stdio, shown: true})
}
