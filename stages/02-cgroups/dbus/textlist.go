package dbus

import "fmt"

// list reads "[…]" of one type: strings, pairs of strings, bytes or uint32.
func (p *textParser) list(element string) (any, error) {
	p.take("[")
	var all []any
	for !p.take("]") {
		if len(all) > 0 && !p.take(",") {
			return nil, fmt.Errorf("a list without a comma or an end at %q", p.rest)
		}
		v, err := p.element(element)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	switch {
	case element == "(ss)" || element == "" && isA[[2]string](all):
		return gather[Pairs](all)
	case element == "y" || element == "" && isA[byte](all):
		return gather[[]byte](all)
	case element == "u" || element == "" && isA[uint32](all):
		return gather[[]uint32](all)
	case element == "s" || element == "" && isA[string](all):
		return gather[[]string](all)
	}
	return nil, fmt.Errorf("a list of this type cannot be sent")
}

// element reads what a list consists of. Lists in lists are not known.
func (p *textParser) element(sig string) (any, error) {
	if !p.take("(") {
		if rest := p.skip(); rest != "" && rest[0] == '[' {
			return nil, fmt.Errorf("a list in a list")
		}
		if sig == "" {
			return p.typed()
		}
		return p.value(sig)
	}
	var pair [2]string
	for i, end := range []string{",", ")"} {
		v, err := p.value("s")
		if err != nil {
			return nil, err
		}
		text, ok := v.(string)
		if !ok || !p.take(end) {
			return nil, fmt.Errorf("a pair is ('text', 'text')")
		}
		pair[i] = text
	}
	return pair, nil
}

func isA[T any](all []any) bool {
	if len(all) == 0 {
		return false
	}
	_, ok := all[0].(T)
	return ok
}

// gather makes a list of one type.
func gather[L ~[]T, T any](all []any) (any, error) {
	out := make(L, 0, len(all))
	for _, v := range all {
		t, ok := v.(T)
		if !ok {
			return nil, fmt.Errorf("a list of different types")
		}
		out = append(out, t)
	}
	return out, nil
}
