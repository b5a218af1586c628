# What the demonstrations share; each reads this file first. They run in namespaces of their own (course demo), so what still runs at the
# end is ended with them; files and cgroups are removed here.
set -eu
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '\033[2m$ %s\033[0m\n' "$*"; "$@"; }

dir=$(mktemp -d /var/tmp/slipway-demo.XXXXXX)
daemon=

# named PREFIX lists the processes whose name begins so, by pid.
named() {
  for c in /proc/[0-9]*/comm; do
    case $(cat "$c" 2>/dev/null) in "$1"*) p=${c#/proc/}; echo "${p%/comm}" ;; esac
  done
}

# begin starts an engine and waits until it answers.
begin() {
  export SLIPWAY_HOST="unix://$dir/slipway.sock"
  slipway-daemon --host "$SLIPWAY_HOST" --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" >>"$dir/daemon.log" 2>&1 &
  daemon=$!
  tries=0
  until slipway version >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || { echo "the engine does not answer:"; tail -n 5 "$dir/daemon.log"; exit 1; }
    sleep 0.05
  done
}

finish() {
  status=$?
  set +e
  if [ -n "$daemon" ]; then
    ids=$(slipway ps -aq 2>/dev/null) && [ -n "$ids" ] && slipway rm -f $ids >/dev/null 2>&1
    kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null
    [ "$status" = 0 ] || { echo "the end of the daemon's log:"; tail -n 15 "$dir/daemon.log"; }
  fi
  for p in $(named slipway-); do kill -KILL "$p"; done
  grep -F " $dir" /proc/self/mountinfo | cut -d' ' -f5 | sort -r | while read -r m; do umount -l "$m"; done
  grep -qF " $dir" /proc/self/mountinfo || rm -rf --one-file-system "$dir"
  rmdir /sys/fs/cgroup/slipway /sys/fs/cgroup/*/slipway 2>/dev/null
  exit "$status"
}
trap finish EXIT
