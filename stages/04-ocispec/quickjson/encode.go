package quickjson

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Marshal is json.Marshal, by the same rule as [Unmarshal]: it looks at the types of the values that are there, and leaves what is
// unusual to encoding/json.
func Marshal(from any) ([]byte, error) {
	e := &encoder{out: make([]byte, 0, 1024)}
	if e.value(reflect.ValueOf(from)) != nil {
		return json.Marshal(from)
	}
	return e.out, nil
}

// encoder is the text so far.
type encoder struct{ out []byte }

func (e *encoder) value(v reflect.Value) error {
	if !v.IsValid() || encodesItself(v.Type()) {
		return e.foreign(v)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return e.word("null")
		}
		return e.value(v.Elem())
	case reflect.Struct:
		return e.structure(v)
	case reflect.Map:
		return e.mapping(v)
	case reflect.Slice:
		return e.slice(v)
	case reflect.String:
		return e.string(v.String())
	case reflect.Bool:
		e.out = strconv.AppendBool(e.out, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.out = strconv.AppendInt(e.out, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.out = strconv.AppendUint(e.out, v.Uint(), 10)
	default:
		return e.foreign(v)
	}
	return nil
}

func (e *encoder) word(s string) error {
	e.out = append(e.out, s...)
	return nil
}

// foreign leaves one value to encoding/json.
func (e *encoder) foreign(v reflect.Value) error {
	if !v.IsValid() {
		return errUnusual
	}
	if t, ok := v.Interface().(time.Time); ok {
		text, err := t.MarshalJSON()
		e.out = append(e.out, text...)
		return err
	}
	if v.CanAddr() { // its method may want a pointer
		v = v.Addr()
	}
	text, err := json.Marshal(v.Interface())
	e.out = append(e.out, text...)
	return err
}

// string writes text that needs no escape itself.
func (e *encoder) string(s string) error {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, c) >= 0 {
			return e.foreign(reflect.ValueOf(s))
		}
	}
	e.out = append(append(append(e.out, '"'), s...), '"')
	return nil
}

func (e *encoder) structure(v reflect.Value) error {
	t, open := v.Type(), byte('{')
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case f.Anonymous, options != "" && options != "omitempty":
			return errUnusual
		case tag == "-", !f.IsExported(), options != "" && empty(v.Field(i)):
			continue
		case name == "":
			name = f.Name
		}
		if err := e.member(open, name, v.Field(i)); err != nil {
			return err
		}
		open = ','
	}
	return e.end(open, '{', '}')
}

// empty is what omitempty leaves out.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice, reflect.Array:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

func (e *encoder) member(before byte, name string, v reflect.Value) error {
	e.out = append(e.out, before)
	if err := e.string(name); err != nil {
		return err
	}
	e.out = append(e.out, ':')
	return e.value(v)
}

// end closes a list of which nothing, not even the bracket, may have been written.
func (e *encoder) end(next, open, shut byte) error {
	if next == open {
		e.out = append(e.out, open)
	}
	e.out = append(e.out, shut)
	return nil
}

// mapping writes the members in the order of their names.
func (e *encoder) mapping(v reflect.Value) error {
	if v.IsNil() {
		return e.word("null")
	}
	name := reflect.Value.String
	switch v.Type().Key() {
	case reflect.TypeFor[string]():
	case reflect.TypeFor[int]():
		name = func(k reflect.Value) string { return strconv.FormatInt(k.Int(), 10) }
	default:
		return e.foreign(v)
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(name(a), name(b)) })
	open := byte('{')
	for _, k := range keys {
		if err := e.member(open, name(k), v.MapIndex(k)); err != nil {
			return err
		}
		open = ','
	}
	return e.end(open, '{', '}')
}

func (e *encoder) slice(v reflect.Value) error {
	if v.IsNil() {
		return e.word("null")
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return e.foreign(v)
	}
	open := byte('[')
	for i := range v.Len() {
		e.out = append(e.out, open)
		if err := e.value(v.Index(i)); err != nil {
			return err
		}
		open = ','
	}
	return e.end(open, '[', ']')
}

// encodesItself tells whether a type has a method that writes it.
func encodesItself(t reflect.Type) bool {
	if t.PkgPath() == "" {
		return false
	}
	p := reflect.PointerTo(t)
	return p.NumMethod() > 0 && (p.Implements(reflect.TypeFor[json.Marshaler]()) || p.Implements(reflect.TypeFor[encoding.TextMarshaler]()))
}
