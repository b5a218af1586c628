package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/slipway-engine/slipway/stages/01-namespaces/namespace"
)

// maxLast is where the last column of a table is cut: a command line can be longer than any terminal.
const maxLast = 60

// rows are the cells, in the order in which they are printed.
func (o listOptions) rows(list []namespace.Namespace, columns []column) ([][]string, error) {
	var rows [][]string
	add := func(n namespace.Namespace, tree string, at string) {
		row := make([]string, len(columns))
		for i, c := range columns {
			if row[i] = c.value(n); c.name == at {
				row[i] = tree + row[i]
			}
		}
		rows = append(rows, row)
	}
	switch o.tree {
	case "":
		for _, n := range list {
			add(n, "", "")
		}
	case "owner", "parent":
		above := func(n namespace.Namespace) namespace.ID { return n.Parent }
		if o.tree == "owner" {
			above = func(n namespace.Namespace) namespace.ID {
				if n.Kind == "user" { // a user namespace is not owned: it is below its parent
					return n.Parent
				}
				return n.Owner
			}
		}
		below := namespace.Children(list, above)
		walk(0, below[0], func(n namespace.Namespace) []namespace.Namespace { return below[n.ID] }, "", func(n namespace.Namespace, tree string) { add(n, tree, "NS") })
	case "process":
		for _, n := range list {
			if n.Procs == 0 {
				add(n, "", "")
				continue
			}
			top, below := family(n)
			walk(0, top, func(m namespace.Namespace) []namespace.Namespace { return below[m.PID] }, "", func(m namespace.Namespace, tree string) { add(m, tree, "COMMAND") })
		}
	default:
		return nil, fmt.Errorf("--tree %s: want owner, parent or process", o.tree)
	}
	return rows, nil
}

// walk visits a forest from the top, with the lines that draw it.
func walk(depth int, list []namespace.Namespace, below func(namespace.Namespace) []namespace.Namespace, indent string, visit func(namespace.Namespace, string)) {
	for i, n := range list {
		branch, next := "├─", "│ "
		if i == len(list)-1 {
			branch, next = "└─", "  "
		}
		if depth == 0 {
			branch, next = "", ""
		}
		visit(n, indent+branch)
		walk(depth+1, below(n), below, indent+next, visit)
	}
}

// family is the forest of the processes in one namespace.
func family(n namespace.Namespace) (top []namespace.Namespace, below map[int][]namespace.Namespace) {
	below = map[int][]namespace.Namespace{}
	for _, pid := range n.Members {
		m := member(n, pid)
		if slices.Contains(n.Members, m.PPID) {
			below[m.PPID] = append(below[m.PPID], m)
		} else {
			top = append(top, m)
		}
	}
	return top, below
}

func (o listOptions) print(out io.Writer, columns []column, rows [][]string) error {
	if o.json {
		return printJSON(out, columns, rows)
	}
	if !o.noheadings {
		var names []string
		for _, c := range columns {
			names = append(names, c.name)
		}
		rows = slices.Insert(rows, 0, names)
	}
	var b strings.Builder
	widths := make([]int, len(columns))
	for _, r := range rows {
		for i := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(r[i]))
		}
	}
	for _, r := range rows {
		b.WriteString(o.line(r, columns, widths) + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (o listOptions) line(row []string, columns []column, widths []int) string {
	cells := slices.Clone(row)
	for i, cell := range cells {
		last := i == len(cells)-1
		switch {
		case o.raw:
			cells[i] = strings.ReplaceAll(cell, " ", `\x20`)
		case columns[i].right && !(o.tree != "" && columns[i].name == "NS"):
			cells[i] = strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)) + cell
		case last && !o.notruncate && utf8.RuneCountInString(cell) > maxLast:
			cells[i] = string([]rune(cell)[:maxLast])
		case !last:
			cells[i] += strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		}
	}
	return strings.TrimRight(strings.Join(cells, " "), " ")
}

// printJSON has lsns's form: the columns in lower case, numbers as numbers, null for what is not there.
func printJSON(out io.Writer, columns []column, rows [][]string) error {
	list := make([]json.RawMessage, 0, len(rows))
	for _, r := range rows {
		var b strings.Builder
		for i, c := range columns {
			var value any = r[i]
			switch {
			case r[i] == "-" && c.right:
				value = nil
			case c.right:
				value = json.Number(r[i])
			}
			text, err := json.Marshal(value)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, ",%q:%s", strings.ToLower(c.name), text)
		}
		list = append(list, json.RawMessage("{"+strings.TrimPrefix(b.String(), ",")+"}"))
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "   ")
	return enc.Encode(map[string]any{"namespaces": list})
}
