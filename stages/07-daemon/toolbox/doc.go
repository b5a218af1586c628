// Package toolbox composes the image slipway/toolbox: a shell and some seventy commands in one static program, so that the
// engine is useful with no registry and no network. The image is put together in memory from that program, is the same
// bytes for the same program, and so has a digest that can be compared. See docs/adr/0010-embedded-image.md.
package toolbox
