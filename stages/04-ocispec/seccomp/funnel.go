package seccomp

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Some architectures have one door for many calls: socketcall(2) and ipc(2) take the real call's number as their first
// argument, and where the others are in memory, which a filter cannot read. A rule for socket(2) therefore becomes two there:
// one for the call itself, where the kernel has it, and one for socketcall with 1 as its first argument. The second cannot
// hold conditions on the first argument; those on others are kept as they are written, because libseccomp keeps them.

// passage is a call that also goes through a door, and the first argument that selects it there (linux/net.h, linux/ipc.h).
type passage struct {
	name     string
	door     int // index into doorNames
	selector uint64
}

func doorNames() [2]string { return [2]string{"ipc", "socketcall"} }

// passages is sorted by name, like the table.
func passages() []passage {
	return []passage{
		{"accept", 1, 5},
		{"accept4", 1, 18},
		{"bind", 1, 2},
		{"connect", 1, 3},
		{"getpeername", 1, 7},
		{"getsockname", 1, 6},
		{"getsockopt", 1, 15},
		{"listen", 1, 4},
		{"msgctl", 0, 14},
		{"msgget", 0, 13},
		{"msgrcv", 0, 12},
		{"msgsnd", 0, 11},
		{"recv", 1, 10},
		{"recvfrom", 1, 12},
		{"recvmmsg", 1, 19},
		{"recvmsg", 1, 17},
		{"semctl", 0, 3},
		{"semget", 0, 2},
		{"semop", 0, 1},
		{"semtimedop", 0, 4},
		{"send", 1, 9},
		{"sendmmsg", 1, 20},
		{"sendmsg", 1, 16},
		{"sendto", 1, 11},
		{"setsockopt", 1, 14},
		{"shmat", 0, 21},
		{"shmctl", 0, 24},
		{"shmdt", 0, 22},
		{"shmget", 0, 23},
		{"shutdown", 1, 13},
		{"socket", 1, 1},
		{"socketpair", 1, 8},
	}
}

// doors are the rows of the two doors with their rules, and the rows of the calls that go through them.
type doors struct {
	rows  [2]int
	lists [2][]*rule
	calls []int
}

// through tells whether a call goes through a door.
func (d *doors) through(row int) bool {
	_, found := slices.BinarySearch(d.calls, row)
	return found
}

// rules are those of a row: a door's, or the given ones.
func (d *doors) rules(row int, own []*rule) []*rule {
	for i, r := range d.rows {
		if r == row && d.calls != nil {
			return d.lists[i]
		}
	}
	return own
}

// numbered is a door's rule with its place in the profile.
type numbered struct {
	at   int32
	rule *rule
}

// funnelled collects the rules of the two doors, in the profile's order.
func (b *book) funnelled() doors {
	var d doors
	var lists [2][]numbered
	for i, name := range doorNames() {
		d.rows[i], _ = find(name, len(table))
		for n := b.first[d.rows[i]]; n != 0; n = b.calls[n-1].next {
			lists[i] = append(lists[i], numbered{n, &b.rules[b.calls[n-1].rule]})
		}
	}
	for _, p := range passages() {
		row, _ := find(p.name, len(table))
		d.calls = append(d.calls, row)
		for n := b.first[row]; n != 0; n = b.calls[n-1].next {
			r := b.rules[b.calls[n-1].rule]
			lists[p.door] = append(lists[p.door], numbered{n, &rule{ret: r.ret, args: selected(r.args, p.selector)}})
		}
	}
	for i := range lists {
		slices.SortFunc(lists[i], func(a, b numbered) int { return int(a.at - b.at) })
		for _, n := range lists[i] {
			d.lists[i] = append(d.lists[i], n.rule)
		}
	}
	return d
}

// selected replaces the condition on the first argument.
func selected(args []specs.LinuxSeccompArg, number uint64) []specs.LinuxSeccompArg {
	list := make([]specs.LinuxSeccompArg, 1, len(args)+1)
	list[0] = specs.LinuxSeccompArg{Index: 0, Op: specs.OpEqualTo, Value: number}
	for _, a := range args {
		if a.Index != 0 {
			list = append(list, a)
		}
	}
	return list
}
