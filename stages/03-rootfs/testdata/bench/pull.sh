#!/bin/bash
# pull.sh N [DIR]: cold pull and unpack of an image of about 276 MB from Debian's docker-registry on loopback, N times, interleaved:
# `rootfs pull`, `ctr images pull` from slipway-manager, Debian's `docker pull` and `ctr images pull`. DIR has our programs, bin/ by default.
# Everything is on a tmpfs in a mount, process and network namespace of its own, and ends with it:
#   unshare -n -m -p -f --mount-proc --kill-child stages/03-rootfs/testdata/bench/pull.sh 5
# Needs docker.io, containerd, docker-registry, busybox-static, time, python3 and Go's sources (Debian packages).
set -u
N=${1:-5}; W=/mnt; BIN=$(realpath "${2:-bin}")
mkimage() { # the context of an image of 6 layers out of this machine's own files, about 14,000 of them
  tar -C / -cf l1.tar usr/lib/python3.11 usr/share/perl
  tar -C / -cf l2.tar usr/lib/python3
  (cd / && find usr/lib/x86_64-linux-gnu -maxdepth 1 -type f -name '*.so*' -size -4M | sort | xargs du -k | awk '{s+=$1; if (s<61440) print $2}') | tar -C / -cf l3.tar -T -
  tar -C / -cf l4.tar usr/include/linux usr/include/c++
  tar -C / -cf l5.tar usr/local/go/src/cmd usr/local/go/src/crypto usr/local/go/src/net
  cp /bin/busybox busybox
  printf 'FROM scratch\nADD l1.tar /\nADD l2.tar /\nADD l3.tar /\nADD l4.tar /\nADD l5.tar /\nCOPY busybox /bin/sh\nCMD ["/bin/sh"]\n' >Dockerfile
}
ip link set lo up; mount -t tmpfs -o size=12g tmpfs $W; cd $W
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
for i in $(seq 100); do ctr -a c.sock version >/dev/null 2>&1 && break; sleep .1; done
dockerd --data-root $W/dk --exec-root $W/dx -p $W/dk.pid -H unix://$W/d.sock --containerd $W/c.sock --iptables=false --ip-forward=false --bridge=none --insecure-registry 127.0.0.0/8 >d.log 2>&1 & dk=$!
for i in $(seq 100); do docker -H unix://$W/d.sock version >/dev/null 2>&1 && break; sleep .1; done
D="docker -H unix://$W/d.sock"; R=127.0.0.1:5000/big:1
DOCKER_BUILDKIT=0 $D build -q -t $R img >/dev/null || { tail -5 d.log; exit 1; }
$D push -q $R; $D rmi -f $R >/dev/null
if [ -x "$BIN/slipway-manager" ]; then
  "$BIN/slipway-manager" --root $W/mgr --state $W/mgr-state --address $W/m.sock >m.log 2>&1 & mgr=$!
  for i in $(seq 50); do [ -S m.sock ] && break; sleep .1; done
fi
cpu() { awk '{print $14+$15+$16+$17}' /proc/$1/stat; }
hwm() { awk '/VmHWM/{print $2}' /proc/$1/status; }
one() { # name pid command...: wall ms, cpu ms of the daemon and the client, peak kB
  local n=$1 p=$2; shift 2; local c0=0 c1=0 h=0
  [ $p != 0 ] && { echo 5 >/proc/$p/clear_refs; c0=$(cpu $p); }
  local t0=$(date +%s%N)
  /usr/bin/time -f '%U %S %M' -o tm "$@" >out 2>&1 || { echo "$n failed"; tail -3 out; }
  local t1=$(date +%s%N)
  [ $p != 0 ] && { c1=$(cpu $p); h=$(hwm $p); }
  awk -v n=$n -v w=$(((t1-t0)/1000000)) -v d=$(((c1-c0)*10)) -v h=$h '{print n, w, d+($1+$2)*1000, (h>0?h:$3)}' tm >>result
}
for i in $(seq $((N+1))); do
  one rootfs 0 "$BIN/rootfs" --root $W/ours pull -q $R; rm -rf --one-file-system $W/ours
  [ -n "${mgr:-}" ] && { one manager $mgr ctr -a m.sock -n x images pull --plain-http $R; ctr -a m.sock -n x images rm --sync $R >/dev/null 2>&1; }
  one docker $dk $D pull -q $R; $D rmi -f $R >/dev/null
  one ctr $ctrd ctr -a c.sock images pull --plain-http $R; ctr -a c.sock images rm --sync $R >/dev/null
  [ $i = 1 ] && mv result warm
done
sort -k1,1 -k2,2n result | awk 'function p(){asort_(c,n);printf "%-8s wall min %d med %d ms   cpu min %d med %d ms   peak %d MiB\n",k,w[1],w[int((n+1)/2)],c[1],c[int((n+1)/2)],h/1024}
function asort_(a,n, i,j,t){for(i=2;i<=n;i++)for(j=i;j>1&&a[j-1]>a[j];j--){t=a[j];a[j]=a[j-1];a[j-1]=t}}
$1!=k{if(n)p();k=$1;n=0;h=0} {w[++n]=$2;c[n]=$3;if($4>h)h=$4} END{p()}'
$D info 2>/dev/null | grep -i "storage driver"
kill $dk $reg $ctrd ${mgr:-} ; sleep 2
