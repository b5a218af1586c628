package inflate

import (
	"fmt"
	"math/bits"
)

// A table tells what the next bits mean. It is looked up with as many bits as most codes have; a longer code leads on to a
// second table. An entry says at once how many bits to drop and what came:
//
//	a literal         flagLiteral | byte<<16 | length of the code
//	a length, a distance   base<<16 | length of the code<<8 | the same + number of extra bits
//	a second table    flagSpecial | flagTable | where it begins<<16 | its bits<<8 | bits of the first
//	end of the block  flagSpecial | flagEnd | length of the code
//	no code at all    flagSpecial
const (
	flagLiteral = 1 << 31
	flagSpecial = 1 << 15
	flagTable   = 1 << 14
	flagEnd     = 1 << 13

	litBits, litSize   = 11, 4096 // 2342 is the most that 288 codes of up to 15 bits need (zlib, examples/enough.c)
	distBits, distSize = 8, 512   // 402 likewise for 30
	maxLength          = 15
)

// entries of RFC 1951, 3.2.5, still without the length of the code.
func literalEntry(symbol int) uint32 {
	switch {
	case symbol < 256:
		return flagLiteral | uint32(symbol)<<16
	case symbol == 256:
		return flagSpecial | flagEnd
	case symbol > 285:
		return flagSpecial
	case symbol == 285:
		return 258 << 16
	}
	n := symbol - 257
	if n < 8 {
		return uint32(n+3) << 16
	}
	extra := n/4 - 1
	return uint32((4+n%4)<<extra+3)<<16 | uint32(extra)
}

func distanceEntry(symbol int) uint32 {
	if symbol > 29 {
		return flagSpecial
	}
	if symbol < 4 {
		return uint32(symbol+1) << 16
	}
	extra := symbol/2 - 1
	return uint32((2+symbol%2)<<extra+1)<<16 | uint32(extra)
}

// withLength adds the length of the code.
func withLength(entry uint32, length int) uint32 {
	if entry&(flagLiteral|flagSpecial) != 0 {
		return entry + uint32(length)
	}
	return entry + uint32(length)<<8 + uint32(length)
}

// build fills a table for codes of the given lengths, 0 for a symbol that has none (RFC 1951, 3.2.2). Lengths that
// leave codes unused are good only where there is a single code, or none: then there is nothing to tell apart.
func build(table []uint32, root int, lengths []uint8, entry func(int) uint32) error {
	var count [maxLength + 1]int
	for _, l := range lengths {
		count[l]++
	}
	codes := len(lengths) - count[0]
	next, left := [maxLength + 2]int{}, 1
	for l := 1; l <= maxLength; l++ {
		left = left<<1 - count[l]
		if left < 0 {
			return fmt.Errorf("more codes than there is room for: %w", ErrCorrupt)
		}
		next[l+1] = (next[l] + count[l]) << 1
	}
	if left > 0 && (codes > 1 || codes == 1 && count[1] != 1) {
		return fmt.Errorf("fewer codes than there is room for: %w", ErrCorrupt)
	}
	for i := range table[:1<<root] {
		table[i] = flagSpecial
	}
	return place(table, root, lengths, next, entry)
}

// place puts each code where its bits, lowest first, lead.
func place(table []uint32, root int, lengths []uint8, next [maxLength + 2]int, entry func(int) uint32) error {
	var code [320]int
	var depth [1 << litBits]uint8 // bits of the second table behind each first entry
	for symbol, l := range lengths {
		if l == 0 {
			continue
		}
		code[symbol] = int(bits.Reverse16(uint16(next[l])) >> (16 - l))
		next[l]++
		if first := code[symbol] & (1<<root - 1); int(l) > root {
			depth[first] = max(depth[first], l-uint8(root))
		}
	}
	used := 1 << root
	for symbol, l := range lengths {
		length := int(l)
		switch {
		case length == 0:
		case length <= root:
			e := withLength(entry(symbol), length)
			for i := code[symbol]; i < 1<<root; i += 1 << length {
				table[i] = e
			}
		default:
			first := code[symbol] & (1<<root - 1)
			sub := int(depth[first])
			if table[first] == flagSpecial {
				if used+1<<sub > len(table) {
					return fmt.Errorf("codes that need too large a table: %w", ErrCorrupt)
				}
				table[first] = flagSpecial | flagTable | uint32(used)<<16 | uint32(sub)<<8 | uint32(root)
				for i := range 1 << sub {
					table[used+i] = flagSpecial
				}
				used += 1 << sub
			}
			at := int(table[first] >> 16)
			e := withLength(entry(symbol), length-root)
			for i := code[symbol] >> root; i < 1<<sub; i += 1 << (length - root) {
				table[at+i] = e
			}
		}
	}
	return nil
}

func (z *Reader) fixedTables() error {
	if z.fixed {
		return nil
	}
	z.fixed = true
	var lengths [288]uint8
	for i := range lengths {
		switch {
		case i < 144 || i > 279:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		default:
			lengths[i] = 7
		}
	}
	if err := build(z.literals[:], litBits, lengths[:], literalEntry); err != nil {
		return err
	}
	var distances [32]uint8
	for i := range distances {
		distances[i] = 5
	}
	return build(z.distances[:], distBits, distances[:], distanceEntry)
}

// dynamicTables reads the lengths of the codes, which are themselves coded (RFC 1951, 3.2.7).
func (z *Reader) dynamicTables() error {
	z.fixed = false
	head, err := z.take(14)
	if err != nil {
		return err
	}
	literals, distances, codes := int(head&31)+257, int(head>>5&31)+1, int(head>>10)+4
	if literals > 286 || distances > 30 {
		return fmt.Errorf("%d literal and %d distance codes: %w", literals, distances, ErrCorrupt)
	}
	var small [19]uint8
	for _, symbol := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:codes] {
		v, err := z.take(3)
		if err != nil {
			return err
		}
		small[symbol] = uint8(v)
	}
	var table [128]uint32
	if err := build(table[:], 7, small[:], func(s int) uint32 { return flagLiteral | uint32(s)<<16 }); err != nil {
		return err
	}
	var lengths [286 + 30]uint8
	if err := z.codeLengths(&table, lengths[:literals+distances]); err != nil {
		return err
	}
	if lengths[256] == 0 {
		return fmt.Errorf("block without an end: %w", ErrCorrupt)
	}
	if err := build(z.literals[:], litBits, lengths[:literals], literalEntry); err != nil {
		return err
	}
	return build(z.distances[:], distBits, lengths[literals:literals+distances], distanceEntry)
}

func (z *Reader) codeLengths(table *[128]uint32, lengths []uint8) error {
	for i := 0; i < len(lengths); {
		if err := z.refill(); err != nil {
			return err
		}
		e := table[z.bits&127]
		if e&flagSpecial != 0 {
			return fmt.Errorf("code of a length: %w", ErrCorrupt)
		}
		z.bits >>= e & 63
		z.nbits -= uint(e & 63)
		symbol := uint8(e >> 16)
		if symbol < 16 {
			lengths[i] = symbol
			i++
			continue
		}
		extra, least, value := uint(2), uint(3), uint8(0)
		switch symbol {
		case 16:
			if i == 0 {
				return fmt.Errorf("repetition of nothing: %w", ErrCorrupt)
			}
			value = lengths[i-1]
		case 17:
			extra = 3
		case 18:
			extra, least = 7, 11
		}
		n := uint(z.bits&(1<<extra-1)) + least
		z.bits >>= extra
		z.nbits -= extra
		if i+int(n) > len(lengths) {
			return fmt.Errorf("repetition beyond the end: %w", ErrCorrupt)
		}
		for range n {
			lengths[i] = value
			i++
		}
	}
	return z.overrun()
}
