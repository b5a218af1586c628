package picture

import (
	"bytes"
	"encoding/xml"
	"io"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

type box struct{ x, y, w, h int }

var rect = regexp.MustCompile(`<rect class="(?:thing|process|new|gone)" x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"`)

// TestNothingOverlaps looks at each picture: well-formed, within its page, and
// no box on another.
func TestNothingOverlaps(t *testing.T) {
	for _, p := range Book() {
		t.Run(p.Name, func(t *testing.T) {
			svg := p.Draw()
			require.Equal(t, svg, p.Draw(), "twice is the same as once")
			for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
				if _, err := d.Token(); err == io.EOF {
					break
				} else {
					require.NoError(t, err)
				}
			}
			page := regexp.MustCompile(`viewBox="0 0 (\d+) (\d+)"`).FindStringSubmatch(string(svg))
			var boxes []box
			for _, m := range rect.FindAllStringSubmatch(string(svg), -1) {
				boxes = append(boxes, box{number(m[1]), number(m[2]), number(m[3]), number(m[4])})
			}
			require.NotEmpty(t, boxes)
			for i, a := range boxes {
				require.LessOrEqual(t, a.x+a.w, number(page[1]))
				require.LessOrEqual(t, a.y+a.h, number(page[2]))
				for _, b := range boxes[i+1:] {
					apart := a.x+a.w <= b.x || b.x+b.w <= a.x || a.y+a.h <= b.y || b.y+b.h <= a.y
					require.True(t, apart, "%+v and %+v overlap", a, b)
				}
			}
		})
	}
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func TestTextsAreEscaped(t *testing.T) {
	p := Picture{Name: "x", Title: "a & b", Trees: []Tree{{"<h>", Node{Thing, "<t>", []string{"\"l\""}, nil}}}}
	require.Contains(t, string(p.Draw()), "&lt;t&gt;")
	require.NotContains(t, string(p.Draw()), "<t>")
}
