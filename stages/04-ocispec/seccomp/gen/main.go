// Command gen writes ../table.go: the number of every system call on every architecture that a filter may name.
//
// The numbers are those of golang.org/x/sys/unix (zsysnum_linux_*.go), which are made from the kernel's own headers.
// x32 is not there; it is x86-64 with bit 30 set, but for the calls of arch/x86/entry/syscalls/syscall_64.tbl that have an
// x32 entry of their own, listed below.
//
// MIPS's n32 and the 31-bit s390 are not there either; abis.txt has them.
//
// Run it with: go generate ./seccomp
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// column is one architecture of the table.
type column struct {
	field string // constant of package seccomp
	file  string // zsysnum_linux_FILE.go
}

func columns() []column {
	return []column{
		{"x86_64", "amd64"},
		{"x86", "386"},
		{"x32", "x32"},
		{"aarch64", "arm64"},
		{"arm", "arm"},
		{"riscv64", "riscv64"},
		{"ppc64", "ppc64"},
		{"s390x", "s390x"},
		{"loong64", "loong64"},
		{"mips", "mips"},
		{"mips64", "mips64"},
		{"ppc", "ppc"},
		{"mips64n32", ""},
		{"s390", ""},
	}
}

// x32Own are the calls that x32 numbers on its own, from 512 up (linux/arch/x86/entry/syscalls/syscall_64.tbl).
const x32Own = `rt_sigaction rt_sigreturn ioctl readv writev recvfrom sendmsg recvmsg execve ptrace rt_sigpending
rt_sigtimedwait rt_sigqueueinfo sigaltstack timer_create mq_notify kexec_load waitid set_robust_list get_robust_list
vmsplice move_pages preadv pwritev rt_tgsigqueueinfo recvmmsg sendmmsg process_vm_readv process_vm_writev setsockopt
getsockopt io_setup io_submit execveat preadv2 pwritev2`

// x64Only are the calls of the same table that x32 does not have at all.
const x64Only = `uselib _sysctl create_module get_kernel_syms query_module nfsservctl epoll_ctl_old epoll_wait_old vserver
set_thread_area get_thread_area`

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		return fmt.Errorf("find golang.org/x/sys: %w", err)
	}
	table, err := read(filepath.Join(strings.TrimSpace(string(dir)), "unix"))
	if err != nil {
		return err
	}
	source, err := format.Source(print(table))
	if err != nil {
		return err
	}
	return os.WriteFile("table.go", source, 0o644)
}

// read returns name -> number per column, -1 where an architecture lacks the call.
func read(dir string) (map[string][]int, error) {
	table := map[string][]int{}
	put := func(name string, col, nr int) {
		if name == "arch_specific_syscall" || name == "syscall_mask" {
			return // bases and counts, not calls
		}
		if table[name] == nil {
			table[name] = slices.Repeat([]int{-1}, len(columns()))
		}
		table[name][col] = nr
	}
	constant := regexp.MustCompile(`(?m)^\s+SYS_([A-Z0-9_]+)\s+= (\d+)$`)
	for col, c := range columns() {
		if c.file == "x32" || c.file == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, "zsysnum_linux_"+c.file+".go"))
		if err != nil {
			return nil, err
		}
		for _, m := range constant.FindAllStringSubmatch(string(text), -1) {
			nr, err := strconv.Atoi(m[2])
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", c.file, m[1], err)
			}
			name := strings.ToLower(m[1])
			if strings.HasPrefix(name, "_") && name != "_llseek" && name != "_newselect" && name != "_sysctl" {
				name = strings.TrimPrefix(name, "_")
			}
			put(name, col, nr)
		}
	}
	x32(table)
	private(put)
	return table, others(put)
}

//go:embed abis.txt
var abis string

// others adds the columns of abis.txt.
func others(put func(name string, col, nr int)) error {
	for line := range strings.Lines(abis) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] == "#" {
			continue
		}
		for i, field := range []string{"mips64n32", "s390"} {
			if f[1+i] == "-" {
				continue
			}
			nr, err := strconv.Atoi(f[1+i])
			if err != nil {
				return fmt.Errorf("abis.txt: %s: %w", f[0], err)
			}
			put(f[0], slices.IndexFunc(columns(), func(c column) bool { return c.field == field }), nr)
		}
	}
	return nil
}

// inOrder lists a column's rows by their numbers.
func inOrder(table map[string][]int, names []string, col int) []int {
	var rows []int
	for i, name := range names {
		if table[name][col] >= 0 {
			rows = append(rows, i)
		}
	}
	slices.SortFunc(rows, func(a, b int) int { return table[names[a]][col] - table[names[b]][col] })
	for i := 1; i < len(rows); i++ {
		if a, b := names[rows[i-1]], names[rows[i]]; table[a][col] == table[b][col] {
			panic(fmt.Sprintf("%s and %s have one number on %s", a, b, columns()[col].field))
		}
	}
	return rows
}

func x32(table map[string][]int) {
	own := strings.Fields(x32Own)
	for name, row := range table {
		if nr := row[0]; nr >= 0 && !slices.Contains(strings.Fields(x64Only), name) {
			if i := slices.Index(own, name); i >= 0 {
				nr = 512 + i
			}
			row[2] = nr | 1<<30
		}
	}
}

// private adds the calls that lie outside the common tables: those of ARM's private range (linux/arch/arm/kernel/traps.c) and
// of RISC-V (linux/arch/riscv/include/uapi/asm/unistd.h, counted from __NR_arch_specific_syscall).
func private(put func(name string, col, nr int)) {
	const armPrivate, riscvBase = 0x0f0000, 244
	for nr, name := range []string{1: "breakpoint", 2: "cacheflush", 3: "usr26", 4: "usr32", 5: "set_tls", 6: "get_tls"} {
		if name != "" {
			put(name, 4, armPrivate+nr)
		}
	}
	put("riscv_hwprobe", 5, riscvBase+14)
	put("riscv_flush_icache", 5, riscvBase+15)
}

func print(table map[string][]int) []byte {
	var b bytes.Buffer
	b.WriteString("// Code generated by seccomp/gen from golang.org/x/sys/unix; DO NOT EDIT.\n\npackage seccomp\n\n")
	b.WriteString("// The columns of table.\nconst (\n")
	for i, c := range columns() {
		if i == 0 {
			fmt.Fprintf(&b, "\t%s column = iota\n", c.field)
			continue
		}
		fmt.Fprintf(&b, "\t%s\n", c.field)
	}
	fmt.Fprintf(&b, "\tcolumns\n)\n\n// table is sorted by name; -1 stands for \"this architecture has no such call\".\n//\n//nolint:gochecknoglobals // data\nvar table = [...]row{\n")
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "\t{%q, [columns]int32{%s}},\n", name, strings.Trim(strings.Join(strings.Fields(fmt.Sprint(table[name])), ", "), "[]"))
	}
	b.WriteString("}\n\n// ordered lists each column's rows by their numbers.\n//\n//nolint:gochecknoglobals // data\nvar ordered = [columns][]uint16{\n")
	for i := range columns() {
		fmt.Fprintf(&b, "\t{%s},\n", strings.Trim(strings.Join(strings.Fields(fmt.Sprint(inOrder(table, names, i))), ", "), "[]"))
	}
	b.WriteString("}\n")
	return b.Bytes()
}
