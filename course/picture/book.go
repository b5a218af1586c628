package picture

// Book is every picture of a tree in docs/pictures.
func Book() []Picture { return []Picture{cgroups(), pivot()} }

// cgroups is that of chapter 2: controllers come down, processes live in leaves.
func cgroups() Picture {
	passes := "subtree_control: cpu memory pids"
	leaf := "subtree_control: (empty)"
	group := func(name, files, pid string) Node {
		return Node{Thing, name, []string{files, leaf}, []Node{{Process, pid, nil, nil}}}
	}
	return Picture{
		Name: "cgroup-tree", Title: "A cgroup tree: controllers come down, processes live in the leaves",
		Trees: []Tree{
			{"v2: one tree", Node{Thing, "/sys/fs/cgroup", []string{"controllers: cpu memory pids", passes}, []Node{
				{Thing, "slipway", []string{passes}, []Node{
					group("web", "memory.max  pids.max", "process 4711"),
					group("db", "memory.max  cpu.max", "process 4802"),
				}},
			}}},
			{"v1: a tree for each controller", Node{Thing, "/sys/fs/cgroup", nil, []Node{
				{Thing, "memory/slipway/web", []string{"memory.limit_in_bytes"}, []Node{{Process, "process 4711", nil, nil}}},
				{Thing, "cpu/slipway/web", []string{"cpu.cfs_quota_us"}, []Node{{Process, "process 4711", nil, nil}}},
				{Thing, "pids/slipway/web", []string{"pids.max"}, []Node{{Process, "process 4711", nil, nil}}},
			}}},
		},
		Notes: []string{"v2: a controller is in a group if every group above passes it on, and who passes one on", "holds no processes itself. v1: the same process has a place in each of the trees."},
	}
}

// pivot is that of chapter 3: the mounts that the child can name.
func pivot() Picture {
	host := func(kind Kind, below ...Node) Node {
		return Node{kind, "/  the host's root", []string{"ext4"}, below}
	}
	root := func(title string) Node {
		return Node{New, title, []string{"overlay"}, []Node{
			{New, "proc", []string{"proc of the new pid namespace"}, nil},
			{New, "dev", []string{"tmpfs"}, nil},
		}}
	}
	return Picture{
		Name: "pivot-root", Title: "The mount tree before and behind pivot_root",
		Trees: []Tree{
			{"1. prepared", host(Thing, Node{Thing, "home", []string{"ext4"}, nil}, Node{Thing, "proc", []string{"the host's"}, nil}, root("run/…/rootfs"))},
			{"2. pivot_root . .", Node{New, "/  the image's root", []string{"overlay"}, []Node{
				{New, "proc", []string{"proc of the new pid namespace"}, nil},
				{New, "dev", []string{"tmpfs"}, nil},
				host(Thing, Node{Thing, "home", []string{"ext4"}, nil}, Node{Thing, "proc", []string{"the host's"}, nil}),
			}}},
			{"3. umount -l .", Node{New, "/  the image's root", []string{"overlay"}, []Node{
				{New, "proc", []string{"proc of the new pid namespace"}, nil},
				{New, "dev", []string{"tmpfs"}, nil},
				{Gone, "the host's root", []string{"no name leads there"}, nil},
			}}},
		},
		Notes: []string{
			"In the child's mount namespace. 2: the old root is stacked on the new one, at the same place, so that no directory in the image is needed for it.",
			"3: it is unmounted. chroot(2) would have stopped at 1, with another idea of where names begin.",
		},
	}
}
