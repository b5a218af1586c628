package api

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

// Version is an API version: the minor number of 1.N.
type Version int

// The versions we serve.
const (
	MinVersion Version = 24
	MaxVersion Version = 52
)

func (v Version) String() string { return fmt.Sprintf("1.%d", int(v)) }

// splitVersion cuts /v1.NN from a path; a path without it means the newest version.
func splitVersion(path string) (Version, string, error) {
	rest, ok := strings.CutPrefix(path, "/v")
	if !ok {
		return MaxVersion, path, nil
	}
	text, tail, _ := strings.Cut(rest, "/")
	major, minor, dot := strings.Cut(text, ".")
	ma, err1 := strconv.Atoi(major)
	mi, err2 := strconv.Atoi(minor)
	if !dot || err1 != nil || err2 != nil || ma < 0 || mi < 0 {
		return MaxVersion, path, nil // /volumes begins with /v as well
	}
	v := Version(mi)
	switch {
	case ma > 1 || ma == 1 && v > MaxVersion:
		return 0, "", fault.Invalid("client version %s is too new. Maximum supported API version is %s", text, MaxVersion)
	case ma < 1 || v < MinVersion:
		return 0, "", fault.Invalid("client version %s is too old. Minimum supported API version is %s, please upgrade your client to a newer version", text, MinVersion)
	}
	return v, "/" + tail, nil
}

type versionKey struct{}

func withVersion(ctx context.Context, v Version) context.Context {
	return context.WithValue(ctx, versionKey{}, v)
}

// versionOf is the version in which the request was made; answers of old shape follow it.
func versionOf(ctx context.Context) Version {
	if v, ok := ctx.Value(versionKey{}).(Version); ok {
		return v
	}
	return MaxVersion
}
