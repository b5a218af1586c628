#!/bin/sh
# oci.sh [-n RUNS] [-rows run-docker,run,exec,create+start+delete,delete-f,state,kill,rss,many] [-bulk N] [NAME=PROGRAM...]
#
# Measures our runtime, runc and crun (those that are installed), or the programs that are named, row by row in turn.
# Needs root, runc and busybox-static. CPU comes first; "low" is the first quartile. `make build` makes bin/slipway-runtime.
set -eu
cd "$(dirname "$0")/../.."
options=
while case ${1-} in -*) true ;; *) false ;; esac; do options="$options $1 $2"; shift 2; done
if [ $# -eq 0 ]; then
	set -- ours=../../bin/slipway-runtime
	for peer in runc crun; do command -v $peer >/dev/null && set -- "$@" $peer=$peer; done
fi
bench=$(mktemp)
trap 'rm -f "$bench"' EXIT
go build -o "$bench" ./testdata/bench
# A mount namespace of its own: crun refuses a machine with v1 hierarchies and a v2 tree, so all of them run without that tree there.
unshare -m sh -c '
	mount --make-rprivate /
	if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
	exec "$0" "$@"' "$bench" $options "$@"
