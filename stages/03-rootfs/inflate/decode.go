package inflate

import (
	"encoding/binary"
	"fmt"
)

func load64(p []byte, i int) uint64 { return binary.LittleEndian.Uint64(p[i:]) }

// decode inflates the present block until it ends, out is full, or the input must be filled. The loop is long because
// everything it uses must stay in registers.
//
// Each turn begins with at least 56 bits: enough for two literals of eleven bits, or for a length (15 + 5) and a distance (15 + 13).
func (z *Reader) decode() error {
	literals, distances := z.literals, z.distances
	out, write, room := z.out, z.write, len(z.out)-slack
	for {
		if z.pos > z.limit() {
			if err := z.fill(); err != nil {
				return err
			}
		}
		in, pos, limit := z.in, z.pos, z.limit()
		hold, n := z.bits, z.nbits
		var end bool
		var err error
		for pos <= limit && write <= room {
			hold |= load64(in, pos) << (n & 63)
			pos += int((63 - n) >> 3)
			n |= 56
			e := literals[hold&(1<<litBits-1)]
			if e&flagLiteral != 0 {
				hold >>= e & 63
				n -= uint(e & 63)
				out[write] = byte(e >> 16)
				write++
				e = literals[hold&(1<<litBits-1)]
				if e&flagLiteral != 0 {
					hold >>= e & 63
					n -= uint(e & 63)
					out[write] = byte(e >> 16)
					write++
					e = literals[hold&(1<<litBits-1)]
					if e&flagLiteral != 0 {
						hold >>= e & 63
						n -= uint(e & 63)
						out[write] = byte(e >> 16)
						write++
						continue
					}
				}
				hold |= load64(in, pos) << (n & 63)
				pos += int((63 - n) >> 3)
				n |= 56
			}
			if e&flagSpecial != 0 {
				if e&flagTable != 0 {
					hold >>= litBits
					n -= litBits
					e = literals[(e>>16+uint32(hold)&(1<<(e>>8&15)-1))&(litSize-1)]
					if e&flagLiteral != 0 {
						hold >>= e & 63
						n -= uint(e & 63)
						out[write] = byte(e >> 16)
						write++
						continue
					}
				}
				if e&flagEnd != 0 {
					hold >>= e & 63
					n -= uint(e & 63)
					end = true
					break
				}
				if e&flagSpecial != 0 {
					err = fmt.Errorf("code that stands for nothing: %w", ErrCorrupt)
					break
				}
			}
			// A length: the base, and the extra bits that follow the code.
			length := int(e>>16) + int(hold&(1<<(e&63)-1)>>(e>>8&15))
			hold >>= e & 63
			n -= uint(e & 63)
			d := distances[hold&(1<<distBits-1)]
			if d&flagSpecial != 0 {
				if d&flagTable != 0 {
					hold >>= distBits
					n -= distBits
					d = distances[(d>>16+uint32(hold)&(1<<(d>>8&15)-1))&(distSize-1)]
				}
				if d&flagSpecial != 0 {
					err = fmt.Errorf("distance that stands for nothing: %w", ErrCorrupt)
					break
				}
			}
			distance := int(d>>16) + int(hold&(1<<(d&63)-1)>>(d>>8&15))
			hold >>= d & 63
			n -= uint(d & 63)
			if distance > write-z.start {
				err = fmt.Errorf("copy from before the beginning: %w", ErrCorrupt)
				break
			}
			write = repeat(out, write, distance, length)
		}
		z.pos, z.bits, z.nbits, z.write = pos, hold, n, write
		switch {
		case err != nil:
			if cut := z.overrun(); cut != nil {
				return cut // the zeros behind the end made no sense
			}
			return err
		case end:
			z.state = atBlock
			return z.overrun()
		case write > room:
			return z.overrun()
		}
	}
}

// repeat copies what was written distance ago. It writes in eights and so up to seven bytes too many, which the next ones cover.
func repeat(out []byte, write, distance, length int) int {
	end := write + length
	if distance >= 8 {
		for from := write - distance; write < end; from, write = from+8, write+8 {
			binary.LittleEndian.PutUint64(out[write:], load64(out, from))
		}
		return end
	}
	if distance == 1 { // a run of one byte
		for eight := uint64(out[write-1]) * 0x0101010101010101; write < end; write += 8 {
			binary.LittleEndian.PutUint64(out[write:], eight)
		}
		return end
	}
	for ; write < end; write++ {
		out[write] = out[write-distance]
	}
	return end
}
