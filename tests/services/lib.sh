# shellcheck shell=bash
# What the test scripts share (sourced, not run): the cache, messages, free ports, and the ending of processes.
# Guarantees: a signal ends a script by way of its EXIT trap; what `run` started ends, whole, with the script.

root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
name=$(realpath "$0")
name=${name#"$root"/}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/millstream
# One target folder outside the clone: the large dependencies are built once, whoever asks.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}

trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '%s: %s\n' "$name" "$*" >&2; }
die() {
  say "$@"
  exit 1
}

# free_port : a loopback port that nobody listens on just now. Below 32768, from where the kernel takes ports for
# outgoing connections. Another process may take it first: who binds it must be ready to ask again.
free_port() {
  local port
  while port=$((16384 + RANDOM % 16384)); do
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

# alive PID : it runs. A zombie, which is what is left where nobody reaps orphans, does not.
alive() { grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status"; }

# gone SECONDS COMMAND... : waits until COMMAND fails; itself fails if that takes longer.
gone() {
  local deadline=$((SECONDS + $1))
  shift
  while "$@" 2>/dev/null; do
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

# end PID [SIGNAL] : ends the process, kindly for 30 s.
end() {
  kill -"${2:-TERM}" "$1" 2>/dev/null || true
  gone 30 alive "$1" || { kill -KILL "$1" && gone 10 alive "$1"; }
}

# run COMMAND... : runs it, without input, in a session of its own. A signal to this script is handled at once, and
# `end_run`, from its EXIT trap, passes it on to all that COMMAND started; setpriv does so if this script is killed outright.
run() {
  local code=0
  setsid setpriv --pdeathsig TERM env --default-signal=INT,QUIT "$@" &
  wait "$!" || code=$?
  return "$code"
}

# members SESSION : the pids of its processes that are alive.
members() {
  { cat /proc/[0-9]*/stat 2>/dev/null || true; } |
    awk -v session="$1" '{ pid = $1; sub(/.*\) /, "") } $4 == session && $1 !~ /[ZX]/ { print pid }'
}
busy() { [ -n "$(members "$1")" ]; }

# end_run SECONDS : ends what is left of the last `run`, kindly for so long. From then on this script is not interrupted.
end_run() {
  trap '' HUP INT TERM
  busy "${!:-none}" || return 0
  # shellcheck disable=SC2046 # one word for each pid
  kill -TERM $(members "$!") 2>/dev/null || true
  # shellcheck disable=SC2046
  gone "$1" busy "$!" || kill -KILL $(members "$!") 2>/dev/null || true
}

# postgres_bin : the folder of the newest installed PostgreSQL server programs, 15 or later; fails if there is none.
postgres_bin() {
  local bin
  bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
  [ -x "$bin/initdb" ] && [ "$(basename "$(dirname "$bin")")" -ge 15 ] && echo "$bin"
}
