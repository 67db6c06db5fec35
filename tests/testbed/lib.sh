# shellcheck shell=bash disable=SC2034
# Names, places and small helpers that every script of the testbed shares. Sourced, never run.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
testbed=$repository/tests/testbed
# Built programs outlive a checkout; the running servers' files do not outlive the machine.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/whimbrel-bench
state=${WHIMBREL_BENCH_STATE:-/tmp/whimbrel-bench}

# The topology is k3d's: a bridge on the host, a node behind it, pods and services inside.
host_address=10.201.0.1
node_address=10.201.0.2
registry_push=localhost:5000
registry_pull=k3d-dev-reg:5000
postgres_port=55432
postgres17_port=55433
mariadb_port=33306
kubeconfig=$state/admin.kubeconfig

note() { printf '%s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
unusable() { printf 'error: %s\n' "$*" >&2; exit 2; }

# until_answers SECONDS WHAT COMMAND…: ask again and again, with a deadline.
until_answers() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || fail "no answer from $what in time; its log is in $state/logs"
    sleep 0.05
  done
}

# One user at a time: who starts and stops servers under another's tests makes them fail. File descriptor 8 holds the
# lock for as long as its script lives, and is closed for everything that lives on.
take_testbed() { # SECONDS
  exec 8>"$state.lock"
  flock --nonblock 8 && return
  if [ "$1" -gt 0 ]; then
    note "waiting for the testbed, which other tests use (at most $1 s)"
    flock --timeout "$1" 8 && return
  fi
  fail 'the testbed is in use: other tests or measurements have not ended'
}

# start NAME COMMAND…: a process of its own session, known by its pid file.
start() {
  local name=$1
  shift
  mkdir -p "$state/logs" "$state/pids"
  setsid "$@" >>"$state/logs/$name.log" 2>&1 </dev/null 8>&- &
  echo $! >"$state/pids/$name"
}

# runs NAME: whether the process that `start` made is still that process.
runs() {
  local pid
  pid=$(cat "$state/pids/$1" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
}

# stop NAME: ends it, waits for its end, and insists after ten seconds.
stop() {
  runs "$1" || { rm -f "$state/pids/$1"; return 0; }
  local pid deadline=$((SECONDS + 10))
  pid=$(cat "$state/pids/$1")
  kill "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null; do
    [ $SECONDS -lt $deadline ] || kill -9 "$pid" 2>/dev/null || true
    sleep 0.05
  done
  rm -f "$state/pids/$1"
}
