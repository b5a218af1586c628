# What the demonstrations share; each reads this file first. They run in namespaces of their own (course demo), so what still runs at the
# end is ended with them; files and cgroups are removed here. With PAUSE set, each scene but the first waits for a key.
set -eu
scene=0 bold='' dim='' plain=''
[ ! -t 1 ] || [ -n "${NO_COLOR-}" ] || { bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m'); }

# say begins a scene.
say() {
  [ "$scene" = 0 ] || pause
  scene=$((scene + 1))
  printf '\n%s%s%s\n' "$bold" "$(printf '%s. %s' "$scene" "$*" | fold -s -w 79)" "$plain"
}

# pause waits for a key on a terminal, and for a line or the end of the input elsewhere.
pause() {
  [ -n "${PAUSE-}" ] || return 0
  printf '\n%s(a key to go on)%s' "$dim" "$plain"
  if [ -t 0 ]; then
    was=$(stty -g)
    stty -icanon -echo min 1
    dd bs=1 count=1 >/dev/null 2>&1 || true
    stty "$was"
  else
    read -r _ || true
  fi
  printf '\r                \r'
}

# note is a remark below what was shown; typed shows a command, and run runs it, too.
note() { printf '%s\n' "$*" | fold -s -w 79; }
typed() { printf '%s%s%s\n' "$dim" "$(printf '$ %s' "$*" | fold -s -w 79)" "$plain"; }
run() { typed "$@"; "$@"; }

# plan fits what explain prints into 80 columns: both the step and the beginning of its reason.
plan() {
  awk 'NR == 1 { at = index($0, "because") }
    { step = substr($0, 13, at - 14); sub(/ +$/, "", step); if (length(step) > 38) step = substr(step, 1, 36) ".."
      printf "%s  %-38s  %s\n", substr($0, 1, 11), step, substr($0, at, 27) }'
}

# beat waits a moment, for the eye.
beat() { sleep "${1-0.6}"; }

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
  [ -z "${group-}" ] || { limit kill "$group"; limit rm "$group"; } 2>/dev/null
  rmdir /sys/fs/cgroup/slipway /sys/fs/cgroup/*/slipway /sys/fs/cgroup/slipway-limit /sys/fs/cgroup/*/slipway-limit 2>/dev/null
  exit "$status"
}
trap finish EXIT
