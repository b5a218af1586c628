// Package timeline draws a launch plan as a picture: two lines of time, the
// parent's and the child's, and an arrow wherever one hands the turn to the
// other. It is the list that Explain prints, and nothing is drawn that is not in
// it.
package timeline

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// Sizes in pixels. A monospaced letter is 0.602 of its size wide.
const (
	width   = 800
	boxW    = 352
	boxH    = 40
	rowH    = 50
	top     = 64
	left    = 24  // the parent's boxes
	right   = 424 // the child's boxes
	letters = 45  // of a step's name, at 12 pixels
	small   = 54  // of its reason, at 10 pixels
)

// style is readable on a light and on a dark page: the picture brings its own
// background.
const style = `
  .page{fill:#fff;stroke:#d0d7de}
  text{font-family:ui-monospace,'DejaVu Sans Mono',monospace;font-size:12px;fill:#1f2328}
  .why{font-size:10px;fill:#59636e}
  .head{font-size:14px;font-weight:bold}
  .parent{fill:#fff3e0;stroke:#b35900}
  .child{fill:#ddf4ff;stroke:#0969da}
  .life{stroke:#8c959f;stroke-width:2;fill:none}
  .turn{stroke:#59636e;stroke-width:1.5;fill:none}
  .tip{fill:#59636e}
  @media (prefers-color-scheme: dark){
    .page{fill:#0d1117;stroke:#3d444d}
    text{fill:#f0f6fc}
    .why{fill:#9198a1}
    .parent{fill:#3a2a12;stroke:#db9b4b}
    .child{fill:#12283f;stroke:#4493f8}
    .life{stroke:#656c76}
    .turn{stroke:#9198a1}
    .tip{fill:#9198a1}
  }`

// Draw writes the plan's steps as an SVG picture. Texts that are too long for
// their box end in "…"; a viewer shows them whole under the pointer.
func Draw(w io.Writer, title string, steps []launch.Step) error {
	height := top + rowH*(len(steps)+1) + 16
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" width="%[1]d" height="%[2]d" role="img">`+"\n<title>%[3]s</title>\n<style>%[4]s\n</style>\n", width, height, text(title), style)
	b.WriteString(`<defs><marker id="tip" markerWidth="9" markerHeight="8" refX="8" refY="4" orient="auto"><path class="tip" d="M0,0 L9,4 L0,8 z"/></marker></defs>` + "\n")
	fmt.Fprintf(&b, `<rect class="page" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>`+"\n", width-1, height-1)
	fmt.Fprintf(&b, `<text class="head" x="%d" y="34">parent</text><text class="head" x="%d" y="34">child</text>`+"\n", left, right)
	lives(&b, steps)
	for n, s := range steps {
		box(&b, n, s)
		if n > 0 {
			turn(&b, n, steps[n-1].Side, s)
		}
	}
	end(&b, steps)
	b.WriteString("</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

// y is where a row begins.
func y(n int) int { return top + rowH*n }

// side is where the boxes of a side begin, and its class.
func side(s launch.Side) (x int, class string) {
	if s == launch.Child {
		return right, "child"
	}
	return left, "parent"
}

// lives draws how long each of the two is there: the child from its clone on.
func lives(b *bytes.Buffer, steps []launch.Step) {
	life := func(x, from int) {
		fmt.Fprintf(b, `<path class="life" d="M%d %d V%d"/>`+"\n", x, from, y(len(steps))+boxH)
	}
	life(left-10, top-14)
	for n, s := range steps {
		if s.Clone != nil {
			life(right+boxW+10, y(n+1)-6)
		}
	}
}

func box(b *bytes.Buffer, n int, s launch.Step) {
	x, class := side(s.Side)
	fmt.Fprintf(b, `<g><title>%s: %s</title><rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="5"/>`, text(s.Name), text(s.Because), class, x, y(n), boxW, boxH)
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`, x+8, y(n)+17, text(cut(fmt.Sprintf("%d  %s", n+1, s.Name), letters)))
	fmt.Fprintf(b, `<text class="why" x="%d" y="%d">%s</text></g>`+"\n", x+8, y(n)+32, text(cut(s.Because, small)))
}

// turn is the arrow from a step to the next one, where the side changes.
func turn(b *bytes.Buffer, n int, before launch.Side, s launch.Step) {
	if before == s.Side {
		return
	}
	from, to := left+boxW, right
	if s.Side == launch.Parent {
		from, to = right, left+boxW
	}
	fmt.Fprintf(b, `<path class="turn" d="M%d %d L%d %d" marker-end="url(#tip)"/>`+"\n", from, y(n-1)+boxH/2, to, y(n)+boxH/2)
}

// end is what the parent hears last: the socket that execve closes, or that it
// need not wait any longer.
func end(b *bytes.Buffer, steps []launch.Step) {
	if len(steps) == 0 {
		return
	}
	last := steps[len(steps)-1]
	if last.Side != launch.Child {
		return
	}
	n := len(steps)
	fmt.Fprintf(b, `<path class="turn" d="M%d %d L%d %d" marker-end="url(#tip)"/>`+"\n", right, y(n-1)+boxH/2, left+boxW, y(n)+boxH/2)
	fmt.Fprintf(b, `<rect class="parent" x="%d" y="%d" width="%d" height="%d" rx="5"/><text x="%d" y="%d">end of file: execve has closed the socket</text>`+"\n", left, y(n), boxW, boxH, left+8, y(n)+24)
}

// cut shortens to a number of letters.
func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// text is s as XML character data.
func text(s string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return "" // a bytes.Buffer takes everything
	}
	return b.String()
}
