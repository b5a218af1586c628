package oci

// CheckpointOptions are checkpoint's flags.
type CheckpointOptions struct {
	ImagePath, WorkPath string
	LeaveRunning        bool
	TCPEstablished      bool
	ExternalUnixSockets bool
	ShellJob            bool
	FileLocks           bool
	EmptyNamespaces     []string
	CgroupsMode         string // "": the runtime's default
}

// Checkpoint writes the container's processes to files, and unless it shall go on, ends it.
func (r *Runtime) Checkpoint(id, bundle string, o CheckpointOptions) error {
	args := []string{"checkpoint", "--image-path", o.ImagePath, "--work-path", o.WorkPath}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{o.LeaveRunning, "--leave-running"},
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
	return r.run(call{log: r.log(bundle), args: append(args, id)})
}
