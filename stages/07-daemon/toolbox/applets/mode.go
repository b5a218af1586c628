package applets

import (
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

func chmod(p *Proc) int {
	// A mode may start with a minus, so only -R and -f are options.
	args, recursive := p.Args[1:], false
	for len(args) > 0 && (args[0] == "-R" || args[0] == "-f") {
		recursive = recursive || args[0] == "-R"
		args = args[1:]
	}
	if len(args) < 2 {
		return p.failf("usage: chmod [-R] MODE FILE...")
	}
	return p.all(args[1:], func(name string) error {
		return below(name, recursive, func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			mode, err := applyMode(info.Mode(), args[0])
			if err != nil {
				return err
			}
			return os.Chmod(path, mode)
		})
	})
}

// below calls act for a path, and with recursive for everything under it.
func below(root string, recursive bool, act func(string) error) error {
	if !recursive {
		return act(root)
	}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.Type()&os.ModeSymlink != 0 {
			return nil
		}
		return act(path)
	})
}

// applyMode applies an octal or symbolic mode (`u+x,go-w`, `a=r`, `+x`) to the present one.
func applyMode(mode os.FileMode, change string) (os.FileMode, error) {
	if n, err := strconv.ParseUint(change, 8, 12); err == nil {
		return modeBits(n), nil
	}
	for clause := range strings.SplitSeq(change, ",") {
		at := strings.IndexAny(clause, "+-=")
		if at < 0 {
			return 0, &os.PathError{Op: "chmod", Path: "invalid mode '" + change + "'", Err: strconv.ErrSyntax}
		}
		mode = applyClause(mode, clause[:at], clause[at], clause[at+1:])
	}
	return mode, nil
}

func applyClause(mode os.FileMode, who string, op byte, perms string) os.FileMode {
	if who == "" || strings.Contains(who, "a") {
		who = "ugo"
	}
	shifts := map[rune]uint{'u': 6, 'g': 3, 'o': 0}
	var bits, mask os.FileMode
	for _, w := range who {
		mask |= 7 << shifts[w]
		for _, perm := range perms {
			switch perm {
			case 'r':
				bits |= 4 << shifts[w]
			case 'w':
				bits |= 2 << shifts[w]
			case 'x':
				bits |= 1 << shifts[w]
			case 'X':
				if mode.IsDir() || mode&0o111 != 0 {
					bits |= 1 << shifts[w]
				}
			case 's':
				bits |= map[rune]os.FileMode{'u': os.ModeSetuid, 'g': os.ModeSetgid}[w]
			case 't':
				bits |= os.ModeSticky
			}
		}
	}
	switch op {
	case '+':
		return mode | bits
	case '-':
		return mode &^ bits
	}
	return mode&^mask | bits
}

func chown(p *Proc) int {
	opt, operands, ok := p.getopt("Rhf")
	if !ok || len(operands) < 2 {
		return p.failf("usage: chown [-R] USER[:GROUP] FILE...")
	}
	name, group, _ := strings.Cut(operands[0], ":")
	uid, err := number(name, userID)
	if err != nil {
		return p.failf("unknown user %s", name)
	}
	gid, err := number(group, groupID)
	if err != nil {
		return p.failf("unknown group %s", group)
	}
	return p.all(operands[1:], func(file string) error {
		return below(file, opt.has('R'), func(path string) error { return os.Lchown(path, uid, gid) })
	})
}

// number turns an owner into a number; an empty one is -1, which chown(2) leaves as it is.
func number(text string, lookup func(string) (string, error)) (int, error) {
	if text == "" {
		return -1, nil
	}
	if n, err := strconv.Atoi(text); err == nil {
		return n, nil
	}
	id, err := lookup(text)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(id)
}

func userID(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func groupID(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}
