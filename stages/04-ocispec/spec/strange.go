package spec

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// What only somebody who means harm, or a program that has gone wrong, writes into a config.json.

// noNULs refuses a NUL character wherever it stands: to the kernel it ends a string, so what was checked is not what is used.
// Nearly every text has none, and need not be walked.
func noNULs(text []byte, decoded any) error {
	if !bytes.Contains(text, []byte(`\u0000`)) {
		return nil
	}
	return walk(reflect.ValueOf(decoded), "")
}

// walk looks at each string of a value and names it as the JSON text does.
func walk(v reflect.Value, at string) error {
	switch v.Kind() {
	case reflect.String:
		return noNUL(at, v.String())
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return walk(v.Elem(), at)
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := walk(v.Index(i), fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			name := fmt.Sprintf("%s[%q]", at, k.String())
			if err := cmp.Or(noNUL(name, k.String()), walk(v.MapIndex(k), name)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		return walkFields(v, at)
	}
	return nil
}

func walkFields(v reflect.Value, at string) error {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if err := walk(v.Field(i), strings.Trim(at+"."+name, ".")); err != nil {
			return err
		}
	}
	return nil
}

// maxEntries bounds the lists of which each entry becomes a step. Engines write a hundred; a kernel has room for 100,000 mounts
// (/proc/sys/fs/mount-max), and a minute and a gigabyte later it says so.
const maxEntries = 10_000

func counts(s *specs.Spec) error {
	for _, l := range []struct {
		field string
		n     int
	}{
		{"mounts", len(s.Mounts)},
		{"linux.devices", len(s.Linux.Devices)},
		{"linux.maskedPaths", len(s.Linux.MaskedPaths)},
		{"linux.readonlyPaths", len(s.Linux.ReadonlyPaths)},
		{"linux.sysctl", len(s.Linux.Sysctl)},
	} {
		if l.n > maxEntries {
			return fmt.Errorf("%s: %d entries are more than %d", l.field, l.n, maxEntries)
		}
	}
	return nil
}

// maxPath is the kernel's PATH_MAX without the NUL.
const maxPath = 4095

// lengths refuses paths that the kernel would not take. They are checked here because what is planned for a path grows with the
// square of its length.
func lengths(s *specs.Spec) error {
	err := cmp.Or(short("root.path", s.Root.Path), short("linux.cgroupsPath", s.Linux.CgroupsPath))
	if s.Process != nil {
		err = cmp.Or(err, short("process.cwd", s.Process.Cwd))
	}
	for i, m := range s.Mounts {
		if len(m.Destination) > maxPath || len(m.Source) > maxPath {
			at := fmt.Sprintf("mounts[%d]", i)
			return cmp.Or(err, short(at+".destination", m.Destination), short(at+".source", m.Source))
		}
	}
	for i, d := range s.Linux.Devices {
		if len(d.Path) > maxPath {
			return cmp.Or(err, short(fmt.Sprintf("linux.devices[%d].path", i), d.Path))
		}
	}
	return err
}

func short(field, p string) error {
	if len(p) > maxPath {
		return fmt.Errorf("%s: %.40q… is longer than %d bytes", field, p, maxPath)
	}
	return nil
}

// hiddenPaths checks those that are masked or read-only (config-linux.md: "absolute paths in the container namespace").
func hiddenPaths(s *specs.Spec) error {
	check := func(field string, list []string) error {
		i := slices.IndexFunc(list, func(p string) bool { return !path.IsAbs(p) || len(p) > maxPath })
		switch {
		case i < 0:
			return nil
		case !path.IsAbs(list[i]):
			return fmt.Errorf("%s[%d]: %.40q is not an absolute path", field, i, list[i])
		}
		return short(fmt.Sprintf("%s[%d]", field, i), list[i])
	}
	if i := slices.IndexFunc(s.Linux.MaskedPaths, func(p string) bool { return path.Clean(p) == "/" }); i >= 0 {
		return fmt.Errorf("linux.maskedPaths[%d]: %q would hide all there is", i, s.Linux.MaskedPaths[i])
	}
	return cmp.Or(check("linux.maskedPaths", s.Linux.MaskedPaths), check("linux.readonlyPaths", s.Linux.ReadonlyPaths))
}

// mountOptions checks what the kernel would cut off, or take no notice of.
func mountOptions(m specs.Mount) error {
	n := len(m.Options)
	for _, o := range m.Options {
		n += len(o)
	}
	if n > maxPath { // mount(2): at most a page
		return fmt.Errorf("options: together they are longer than %d bytes", maxPath)
	}
	return nil
}
