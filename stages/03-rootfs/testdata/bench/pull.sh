#!/bin/bash
# pull.sh N [DIR]: cold pull and unpack of an image of about 276 MB from Debian's docker-registry on loopback, N times, interleaved:
# `rootfs pull`, `ctr images pull` from slipway-manager, `slipway pull` from slipway-daemon, Debian's `docker pull` and `ctr images pull`.
# DIR has our programs, bin/ by default. Everything is on a tmpfs in a mount, process and network namespace of its own, and ends with it:
#   timeout 1800 unshare -n -m -p -f --mount-proc --kill-child stages/03-rootfs/testdata/bench/pull.sh 5
# One pull may take 3 minutes; what fails or takes longer ends the run with its output and exit code 1. ONLY="rootfs docker" runs some of them.
# Needs 4 GB of memory; docker.io, containerd, docker-registry, busybox-static, time, python3 and Go's sources (Debian packages).
set -u
N=${1:-5}; W=/mnt; BIN=$(realpath "${2:-bin}"); ONLY=${ONLY:-rootfs manager daemon docker ctr}
die() { echo "pull.sh: $*" >&2; tail -n 5 $W/*.log >&2; exit 1; }
wants() { [[ " $ONLY " == *" $1 "* ]]; }
ready() { # what command...
  local what=$1; shift
  for _ in $(seq 200); do "$@" >/dev/null 2>&1 && return; sleep .1; done
  die "$what does not answer"
}
mkimage() { # the context of an image of 6 layers out of this machine's own files, about 14,000 of them
  tar -C / -cf l1.tar usr/lib/python3.11 usr/share/perl
  tar -C / -cf l2.tar usr/lib/python3
  (cd / && find usr/lib/x86_64-linux-gnu -maxdepth 1 -type f -name '*.so*' -size -4M | sort | xargs du -k | awk '{s+=$1; if (s<61440) print $2}') | tar -C / -cf l3.tar -T -
  tar -C / -cf l4.tar usr/include/linux usr/include/c++
  tar -C / -cf l5.tar usr/local/go/src/cmd usr/local/go/src/crypto usr/local/go/src/net
  cp /bin/busybox busybox
  printf 'FROM scratch\nADD l1.tar /\nADD l2.tar /\nADD l3.tar /\nADD l4.tar /\nADD l5.tar /\nCOPY busybox /bin/sh\nCMD ["/bin/sh"]\n' >Dockerfile
}
ip link set lo up && mount -t tmpfs -o size=12g tmpfs $W && cd $W || exit 1
mkdir img; (cd img && mkimage)
cat >reg.yml <<T
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $W/registry}, delete: {enabled: true}}
http: {addr: 127.0.0.1:5000}
T
cat >c.toml <<T
version = 2
root = "$W/ctrd"
state = "$W/ctrd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$W/c.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$W/opt"
T
docker-registry serve reg.yml >reg.log 2>&1 & reg=$!
containerd -c c.toml >c.log 2>&1 & ctrd=$!
ready containerd ctr -a c.sock version
dockerd --data-root $W/dk --exec-root $W/dx -p $W/dk.pid -H unix://$W/d.sock --containerd $W/c.sock --iptables=false --ip-forward=false --bridge=none --insecure-registry 127.0.0.0/8 >d.log 2>&1 & dk=$!
D="docker -H unix://$W/d.sock"; R=127.0.0.1:5000/big:1
ready dockerd $D version
DOCKER_BUILDKIT=0 timeout 600 $D build -q -t $R img >/dev/null || die "build"
timeout 300 $D push -q $R || die "push"
$D rmi -f $R >/dev/null; rm -rf img
if wants manager; then
  "$BIN/slipway-manager" --root $W/mgr --state $W/mgr-state --address $W/m.sock >m.log 2>&1 & mgr=$!
  ready slipway-manager ctr -a m.sock version
fi
if wants daemon; then
  "$BIN/slipway-daemon" --data-root $W/sd --exec-root $W/sdx -p $W/sd.pid -H unix://$W/s.sock --bridge none >s.log 2>&1 & sd=$!
  S="$BIN/slipway -H unix://$W/s.sock"
  ready slipway-daemon $S version
  sm=$(pgrep -P $sd) || die "slipway-daemon has no manager"
fi
cpu() { local p t=0; for p in "$@"; do t=$((t + $(awk '{print $14+$15+$16+$17}' /proc/$p/stat))); done; echo $t; }
hwm() { local p t=0; for p in "$@"; do t=$((t + $(awk '/VmHWM/{print $2}' /proc/$p/status))); done; echo $t; }
one() { # name "pids of daemons" command...: a line of wall ms, CPU ms of the daemons and the client, peak kB
  local n=$1 p c0=0 c1=0 h=0; read -ra p <<<"$2"; shift 2
  for d in "${p[@]}"; do echo 5 >/proc/$d/clear_refs; done
  [ ${#p[@]} = 0 ] || c0=$(cpu "${p[@]}")
  local t0=$(date +%s%N)
  /usr/bin/time -f '%U %S %M' -o tm timeout -k 5 180 "$@" >out.log 2>&1 || die "$n failed"
  local t1=$(date +%s%N)
  [ ${#p[@]} = 0 ] || { c1=$(cpu "${p[@]}"); h=$(hwm "${p[@]}"); }
  awk -v n=$n -v w=$(((t1-t0)/1000000)) -v d=$(((c1-c0)*10)) -v h=$h '{print n, w, d+($1+$2)*1000, (h>0?h:$3)}' tm >>result
}
for i in $(seq $((N+1))); do
  if wants rootfs; then one rootfs "" "$BIN/rootfs" --root $W/ours pull -q $R; rm -rf --one-file-system $W/ours; fi
  if wants docker; then one docker "$dk" $D pull -q $R; $D rmi -f $R >/dev/null; fi
  if wants manager; then one manager "$mgr" ctr -a m.sock -n x images pull --plain-http $R; ctr -a m.sock -n x images rm --sync $R >/dev/null 2>&1; fi
  if wants ctr; then one ctr "$ctrd" ctr -a c.sock images pull --plain-http $R; ctr -a c.sock images rm --sync $R >/dev/null; fi
  if wants daemon; then one daemon "$sd $sm" $S pull -q $R; $S rmi -f $R >/dev/null || die "slipway rmi"; fi
  [ $i = 1 ] && mv result warm
done
sort -k1,1 -k2,2n result | awk '
function sorted(a,n, i,j,t) { for (i=2;i<=n;i++) for (j=i; j>1 && a[j-1]>a[j]; j--) { t=a[j]; a[j]=a[j-1]; a[j-1]=t } }
function flush() { sorted(c,n); wmin[k]=w[1]; wmed[k]=w[int((n+1)/2)]; cmin[k]=c[1]; cmed[k]=c[int((n+1)/2)]
  printf "%-8s clock min %d median %d ms   CPU min %d median %d ms   peak %d MiB\n", k, w[1], wmed[k], c[1], cmed[k], h/1024 }
$1!=k { if (n) flush(); k=$1; n=0; h=0 } { w[++n]=$2; c[n]=$3; if ($4>h) h=$4 }
END { flush(); split("docker ctr", peers, " "); split("rootfs manager daemon", ours, " ")
  for (i in peers) for (j in ours) { p=peers[i]; o=ours[j]; if (p in wmin && o in wmin)
    printf "%s / %s: clock min %.2f median %.2f   CPU min %.2f median %.2f\n", p, o, wmin[p]/wmin[o], wmed[p]/wmed[o], cmin[p]/cmin[o], cmed[p]/cmed[o] } }'
echo "$N rounds; dockerd's storage: $($D info -f '{{.Driver}}' 2>/dev/null); load $(cut -d' ' -f1-3 /proc/loadavg)"
kill $dk $reg $ctrd ${mgr:-} ${sd:-}; wait 2>/dev/null
