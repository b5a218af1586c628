// Package quickjson decodes and encodes what encoding/json does, for a program that does so once and ends.
//
// encoding/json prepares itself for each type that it meets: decoding a config.json makes it build encoders for every type that
// specs.Spec can reach, Windows and all, and that takes longer than the decoding. This package looks at the types that are in
// the text only. It knows the usual (structs, pointers, maps with string or int keys, slices, strings, numbers, booleans, times) and leaves
// the rest to encoding/json: a value of another type, and the whole text when anything is wrong with it, so that results and
// errors are those of encoding/json. A fuzz test holds the two against each other.
package quickjson

import (
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Unmarshal is json.Unmarshal.
func Unmarshal(data []byte, to any) error {
	v := reflect.ValueOf(to)
	if v.Kind() != reflect.Pointer || v.IsNil() || !v.Elem().IsZero() { // what is there already would have to be merged
		return json.Unmarshal(data, to)
	}
	fresh := reflect.New(v.Type().Elem()).Elem()
	d := &decoder{text: data, structs: map[reflect.Type]*structure{}}
	if d.document(fresh) != nil {
		return json.Unmarshal(data, to)
	}
	v.Elem().Set(fresh)
	return nil
}

// errUnusual is whatever this package leaves to encoding/json; nobody sees it.
var errUnusual = errors.New("unusual")

// decoder is a position in a text.
type decoder struct {
	text    []byte
	at      int
	structs map[reflect.Type]*structure
}

func (d *decoder) document(v reflect.Value) error {
	if err := d.value(v); err != nil {
		return err
	}
	if d.next() != 0 || d.at < len(d.text) {
		return errUnusual
	}
	return nil
}

// next is the first byte behind white space; 0 at the end.
func (d *decoder) next() byte {
	for ; d.at < len(d.text); d.at++ {
		switch c := d.text[d.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// take steps over a byte that must come next.
func (d *decoder) take(c byte) error {
	if d.next() != c {
		return errUnusual
	}
	d.at++
	return nil
}

// value decodes what comes next into v, which is zero.
func (d *decoder) value(v reflect.Value) error {
	if d.next() == 'n' { // null leaves zero values as they are
		return d.word("null")
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(v.Elem())
	case reflect.Struct:
		s, err := d.structure(v.Type())
		if err != nil {
			return err
		}
		if s == nil {
			return d.foreign(v)
		}
		return d.object(func(key []byte, n int) error { return s.member(d, v, key, n) })
	case reflect.Map:
		return d.mapping(v)
	case reflect.Slice:
		return d.slice(v)
	case reflect.String:
		s, err := d.string()
		v.SetString(string(s))
		return err
	case reflect.Bool:
		if d.next() == 't' {
			v.SetBool(true)
			return d.word("true")
		}
		return d.word("false")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(d.number(), 10, v.Type().Bits())
		v.SetInt(n)
		return err
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(d.number(), 10, v.Type().Bits())
		v.SetUint(n)
		return err
	}
	return d.foreign(v)
}

// foreign leaves one value to encoding/json.
func (d *decoder) foreign(v reflect.Value) error {
	d.next()
	from := d.at
	if err := d.skip(0); err != nil {
		return err
	}
	to := v.Addr().Interface()
	if t, ok := to.(*time.Time); ok {
		return t.UnmarshalJSON(d.text[from:d.at])
	}
	return json.Unmarshal(d.text[from:d.at], to)
}

// object calls member for each key, at its value; n counts them.
func (d *decoder) object(member func(key []byte, n int) error) error {
	return d.list('{', '}', func(n int) error {
		d.next()
		key, err := d.string()
		if err != nil {
			return err
		}
		if err := d.take(':'); err != nil {
			return err
		}
		return member(key, n)
	})
}

// list calls element for each of the elements between two brackets.
func (d *decoder) list(open, shut byte, element func(n int) error) error {
	if err := d.take(open); err != nil {
		return err
	}
	if d.next() == shut {
		d.at++
		return nil
	}
	for n := 0; ; n++ {
		if err := element(n); err != nil {
			return err
		}
		if d.next() == shut {
			d.at++
			return nil
		}
		if err := d.take(','); err != nil {
			return err
		}
	}
}

func (d *decoder) mapping(v reflect.Value) error {
	t := v.Type()
	if k := t.Key().Kind(); k != reflect.String && k != reflect.Int || custom(t.Key()) || custom(t) {
		return d.foreign(v)
	}
	v.Set(reflect.MakeMap(t))
	return d.object(func(key []byte, _ int) error {
		name, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		if err := errors.Join(named(name, string(key)), d.value(e)); err != nil {
			return err
		}
		v.SetMapIndex(name, e)
		return nil
	})
}

// named makes a map's key of an object's.
func named(key reflect.Value, name string) error {
	if key.Kind() == reflect.String {
		key.SetString(name)
		return nil
	}
	n, err := strconv.Atoi(name)
	key.SetInt(int64(n))
	return err
}

func (d *decoder) slice(v reflect.Value) error {
	t := v.Type()
	if t.Elem().Kind() == reflect.Uint8 || custom(t) {
		return d.foreign(v)
	}
	v.Set(reflect.MakeSlice(t, 0, min(d.elements(), 1<<10)))
	return d.list('[', ']', func(n int) error {
		if n == v.Cap() {
			v.Grow(1)
		}
		v.SetLen(n + 1)
		return d.value(v.Index(n))
	})
}

// elements guesses how many elements an array has: the commas up to its first closing bracket, or up to its end.
func (d *decoder) elements() int {
	n, depth := 1, 0
	for _, c := range d.text[d.at:] {
		switch c {
		case '[', '{':
			depth++
		case ',':
			if depth == 1 {
				n++
			}
		case ']', '}':
			if depth--; depth <= 0 {
				return n
			}
		}
	}
	return n
}

// structure is what a struct's keys mean.
type structure struct {
	names []string
	index [][]int
}

// structure lists the members of a struct type; nil for one that decodes itself.
func (d *decoder) structure(t reflect.Type) (*structure, error) {
	if s, ok := d.structs[t]; ok {
		return s, nil
	}
	var s *structure
	if !custom(t) {
		s = new(structure)
		if err := s.add(t, nil); err != nil {
			return nil, err
		}
	}
	d.structs[t] = s
	return s, nil
}

func (s *structure) add(t reflect.Type, path []int) error {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		at := append(path[:len(path):len(path)], i)
		switch {
		case name == "-" && options == "", !f.IsExported() && !f.Anonymous:
			continue
		case strings.Contains(options, "string"), f.Anonymous && f.Type.Kind() != reflect.Struct:
			return errUnusual
		case f.Anonymous && name == "":
			if err := s.add(f.Type, at); err != nil {
				return err
			}
			continue
		case name == "":
			name = f.Name
		}
		s.names, s.index = append(s.names, name), append(s.index, at)
	}
	return nil
}

// member decodes the value of a key. Keys that differ from a member's name in case only, and keys that come twice, are left to
// encoding/json.
func (s *structure) member(d *decoder, v reflect.Value, key []byte, _ int) error {
	for i, name := range s.names {
		if name == string(key) {
			to := v.FieldByIndex(s.index[i])
			if !to.IsZero() {
				return errUnusual
			}
			return d.value(to)
		}
	}
	for _, name := range s.names {
		if strings.EqualFold(name, string(key)) {
			return errUnusual
		}
	}
	return d.skip(0)
}

// custom tells whether a type decodes itself.
func custom(t reflect.Type) bool {
	if t.PkgPath() == "" {
		return false
	}
	p := reflect.PointerTo(t)
	return p.NumMethod() > 0 && (p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(textual()))
}

func textual() reflect.Type {
	return reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()
}
