// Package jsonlog writes a container's output as Docker's json-file driver does, byte for byte, so
// that `docker logs` and every log shipper can read it: one JSON object per line,
//
//	{"log":"hello\n","stream":"stdout","time":"2026-11-21T23:15:00.123456789Z"}
//
// and it rotates the file by size.
package jsonlog

import (
	"encoding/binary"
	"unicode/utf8"
)

// plain tells which bytes stand for themselves in Docker's JSON strings. It escapes what encoding/json
// escapes for HTML, but a tab becomes \u0009 and DEL stays.
var plain = func() (table [utf8.RuneSelf]bool) {
	for b := range table {
		table[b] = b >= 0x20 && b != '"' && b != '\\' && b != '<' && b != '>' && b != '&'
	}
	return table
}()

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string without its quotes. Bytes that are not UTF-8 become U+FFFD.
func appendString(dst, s []byte) []byte {
	start := 0
	for i := 0; i < len(s); {
		i += plainWords(s[i:])
		if i == len(s) {
			break
		}
		b := s[i]
		if b < utf8.RuneSelf {
			if plain[b] {
				i++
				continue
			}
			dst = appendEscaped(append(dst, s[start:i]...), b)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029': // line separators end a JavaScript string
			dst = append(append(dst, s[start:i]...), '\\', 'u', '2', '0', '2', hexDigits[r&0xF])
			start = i + size
		}
		i += size
	}
	return append(dst, s[start:]...)
}

const (
	each = 0x0101010101010101 // times a byte: that byte eight times
	high = 0x8080808080808080 // the top bit of each byte
)

// plainWords counts the bytes of s that come in whole groups of eight plain ones. Looking at eight at
// a time, with the zero-byte trick (x - 0x01 has its top bit set and x has not), doubles the speed.
func plainWords(s []byte) (n int) {
	for ; len(s)-n >= 8; n += 8 {
		w := binary.LittleEndian.Uint64(s[n:])
		special := w | (w - each*0x20) // not ASCII, or a control character
		for _, b := range [...]uint64{'"', '\\', '<', '>', '&'} {
			x := w ^ each*b
			special |= (x - each) &^ x
		}
		if special&high != 0 {
			break
		}
	}
	return n
}

func appendEscaped(dst []byte, b byte) []byte {
	switch b {
	case '\\', '"':
		return append(dst, '\\', b)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&0xF])
	}
}
