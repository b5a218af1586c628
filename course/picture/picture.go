// Package picture draws the book's trees: docs/pictures/NAME.svg. What is on them
// is data in this package; `course docs` draws them again, and twice is the same
// as once. (The pictures of plans are drawn from plans, by stage 1's timeline.)
package picture

import (
	"bytes"
	"encoding/xml"
	"fmt"
)

// Kind is what a box stands for, and so how it looks.
type Kind string

const (
	Thing   Kind = "thing"   // a directory, a mount
	Process Kind = "process" // somebody who lives there
	New     Kind = "new"     // what has just been made
	Gone    Kind = "gone"    // what no name leads to any more
)

// Node is a box with lines of text and what is below it.
type Node struct {
	Kind  Kind
	Title string
	Lines []string
	Below []Node
}

// Tree is one of a picture's trees, with a heading.
type Tree struct {
	Heading string
	Root    Node
}

// Picture is a file of docs/pictures: trees side by side.
type Picture struct {
	Name  string // without .svg
	Title string
	Trees []Tree
	Notes []string // at the foot
}

// Sizes in pixels. A monospaced letter is 0.602 of its size wide.
const (
	margin  = 24
	indent  = 34
	letter  = 7.23 // at 12 pixels
	lineH   = 16
	gap     = 14 // between boxes
	between = 36 // between trees
)

const style = `
  .page{fill:#fff;stroke:#d0d7de}
  text{font-family:ui-monospace,'DejaVu Sans Mono',monospace;font-size:12px;fill:#1f2328}
  .line{fill:#59636e}
  .head{font-size:14px;font-weight:bold}
  .thing{fill:#ddf4ff;stroke:#0969da}
  .process{fill:#fff3e0;stroke:#b35900}
  .new{fill:#dafbe1;stroke:#1a7f37}
  .gone{fill:#f6f8fa;stroke:#8c959f;stroke-dasharray:5 3}
  .edge{stroke:#8c959f;stroke-width:1.5;fill:none}
  @media (prefers-color-scheme: dark){
    .page{fill:#0d1117;stroke:#3d444d}
    text{fill:#f0f6fc}
    .line{fill:#9198a1}
    .thing{fill:#12283f;stroke:#4493f8}
    .process{fill:#3a2a12;stroke:#db9b4b}
    .new{fill:#12301c;stroke:#3fb950}
    .gone{fill:#151b23;stroke:#656c76}
    .edge{stroke:#656c76}
  }`

// Draw makes the picture's file.
func (p Picture) Draw() []byte {
	var body bytes.Buffer
	x, bottom := margin, 0
	for i, t := range p.Trees {
		if i > 0 {
			x += between
		}
		fmt.Fprintf(&body, `<text class="head" x="%d" y="34">%s</text>`+"\n", x, text(t.Heading))
		w, low := draw(&body, t.Root, x, 54)
		x += max(w, columns(t.Heading, 14))
		bottom = max(bottom, low)
	}
	for _, n := range p.Notes {
		bottom += lineH + 4
		fmt.Fprintf(&body, `<text class="line" x="%d" y="%d">%s</text>`+"\n", margin, bottom, text(n))
		x = max(x, margin+columns(n, 12))
	}
	width, height := x+margin, bottom+margin
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" width="%[1]d" height="%[2]d" role="img">`+"\n<title>%[3]s</title>\n<style>%[4]s\n</style>\n", width, height, text(p.Title), style)
	fmt.Fprintf(&b, `<rect class="page" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>`+"\n", width-1, height-1)
	b.Write(body.Bytes())
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// draw puts a node at x, y, and what is below it further down and to the right;
// it returns how wide that is, and where it ends.
func draw(b *bytes.Buffer, n Node, x, y int) (width, bottom int) {
	w := columns(n.Title, 12) + 20
	for _, l := range n.Lines {
		w = max(w, columns(l, 12)+20)
	}
	h := lineH*(1+len(n.Lines)) + 12
	fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="5"/>`, n.Kind, x, y, w, h)
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`, x+10, y+lineH+2, text(n.Title))
	for i, l := range n.Lines {
		fmt.Fprintf(b, `<text class="line" x="%d" y="%d">%s</text>`, x+10, y+lineH*(i+2)+2, text(l))
	}
	b.WriteString("\n")
	width, bottom = w, y+h
	for _, below := range n.Below {
		at := bottom + gap
		fmt.Fprintf(b, `<path class="edge" d="M%d %d V%d H%d"/>`+"\n", x+indent/2, y+h, at+14, x+indent)
		var under int
		under, bottom = draw(b, below, x+indent, at)
		width = max(width, indent+under)
	}
	return width, bottom
}

// columns is how wide a text is.
func columns(s string, size int) int {
	return int(float64(len([]rune(s)))*letter*float64(size)/12 + 0.999)
}

// text is s as XML character data.
func text(s string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return "" // a bytes.Buffer takes everything
	}
	return b.String()
}
