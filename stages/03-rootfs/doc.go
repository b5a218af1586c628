// Package rootfs is stage 3 of Slipway; see README.md for the one idea and the reading order.
package rootfs
