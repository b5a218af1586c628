package main

import (
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/slipway-engine/slipway/stages/01-namespaces/namespace"
)

// column is one that `isolate list` can print. Names that lsns(8) has mean the same here.
type column struct {
	name  string
	also  string // lsns's name for it
	help  string
	right bool // a number
	value func(namespace.Namespace) string
}

func columns() []column {
	return []column{
		{"NS", "", "the number that identifies it", true, func(n namespace.Namespace) string { return strconv.FormatUint(uint64(n.ID), 10) }},
		{"TYPE", "", "its kind", false, func(n namespace.Namespace) string { return n.Kind }},
		{"PATH", "", "a file that refers to it", false, func(n namespace.Namespace) string { return n.Path }},
		{"NPROCS", "", "how many processes are in it", true, func(n namespace.Namespace) string { return strconv.Itoa(n.Procs) }},
		{"PID", "", "the lowest of them", true, func(n namespace.Namespace) string { return number(n.PID) }},
		{"PPID", "", "the parent of that", true, func(n namespace.Namespace) string {
			if n.PID == 0 {
				return "-"
			}
			return strconv.Itoa(n.PPID)
		}},
		{"UID", "", "the user of that, or who made a user namespace without processes", true, func(n namespace.Namespace) string { return strconv.Itoa(n.UID) }},
		{"USER", "", "the same by name", false, func(n namespace.Namespace) string { return userName(n.UID) }},
		{"OWNER", "ONS", "the user namespace that it belongs to", true, func(n namespace.Namespace) string { return number(n.Owner) }},
		{"PARENT", "PNS", "of a user or pid namespace, the one above it", true, func(n namespace.Namespace) string { return number(n.Parent) }},
		{"KEPT", "NSFS", "files that it is bound to", false, func(n namespace.Namespace) string { return strings.Join(n.KeptAt, ",") }},
		{"COMMAND", "", "the command line of PID, or the file that keeps it", false, func(n namespace.Namespace) string {
			if n.PID == 0 {
				return strings.Join(n.KeptAt, ",")
			}
			return n.Command
		}},
	}
}

func columnHelp() (lines []string) {
	for _, c := range columns() {
		name := c.name
		if c.also != "" {
			name += " or " + c.also
		}
		lines = append(lines, fmt.Sprintf("%-13s %s", name, c.help))
	}
	return lines
}

// chosen are the columns to print.
func (o listOptions) chosen() ([]column, error) {
	all := columns()
	if o.everything {
		return all, nil
	}
	names := o.columns
	if names == nil {
		names = []string{"NS", "TYPE", "NPROCS", "PID", "USER", "OWNER", "PARENT", "COMMAND"}
	}
	var list []column
	for _, name := range names {
		want := strings.ToUpper(strings.TrimSpace(name))
		i := slices.IndexFunc(all, func(c column) bool { return want != "" && (c.name == want || c.also == want) })
		if i < 0 {
			return nil, fmt.Errorf("unknown column %q: there are %s", name, strings.Join(columnNames(), ", "))
		}
		list = append(list, all[i])
	}
	return list, nil
}

func columnNames() (names []string) {
	for _, c := range columns() {
		names = append(names, c.name)
	}
	return names
}

// number is empty for what is not there.
func number[T ~int | ~uint64](n T) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatUint(uint64(n), 10)
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

// member is a namespace as one of its processes shows it.
func member(n namespace.Namespace, pid int) namespace.Namespace {
	n.PID, n.PPID, n.Command = pid, namespace.ParentOf(pid), namespace.CommandOf(pid)
	if st, err := os.Stat(fmt.Sprintf("/proc/%d/", pid)); err == nil {
		n.UID = int(st.Sys().(*syscall.Stat_t).Uid)
	}
	return n
}
