# shellcheck shell=bash disable=SC2034
# What the measurements on PostgreSQL share: projects, peers, rounds, medians and ratios. Sourced, never run.
#
# A measurement names its tools in `tools`, ours first, and gives each a function run_NAME; prepare_NAME, where there is
# one, comes before every run and is not timed. Tools take turns within a round, so that what disturbs the machine disturbs
# all of them; the ratios are taken round by round.
# shellcheck source=tests/testbed/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../testbed/lib.sh"

rounds=20 json=

options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --json) json=1 ;;
      --rounds) rounds=${2:?--rounds needs a number}; shift ;;
      *) unusable "unknown option: $1" ;;
    esac
    shift
  done
  server=${WHIMBREL_TEST_POSTGRES:?start this through tests/bench}
  # The program as it is shipped.
  migrate=$(dirname "${WHIMBREL_BIN_DIR:?start this through tests/bench}")/dist/whimbrel-migrate
  (cd "$repository" && cargo build --quiet --locked --profile dist -p whimbrel-migrate)
  login=${server#*://} login=${login%@*} place=${server#*@} place=${place%/*}
  work=$(mktemp -d)
  trap finish EXIT
}

finish() {
  local name
  for name in "${database[@]}"; do ask "DROP DATABASE IF EXISTS $name WITH (FORCE)" || true; done
  rm -rf "$work"
}

as_postgres() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi; }

# own_server [OPTION…]: a PostgreSQL for this measurement alone, in memory where there is room; it is `server` from then on.
own_server() {
  local port place_for_data=${TMPDIR:-/tmp}
  programs=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
  [ ! -w /dev/shm ] || place_for_data=/dev/shm
  data=$(mktemp -d -p "$place_for_data")
  trap 'stop_own_server; finish' EXIT
  chmod 711 "$work"
  printf 'measure\n' >"$work/password"
  [ "$(id -u)" != 0 ] || chown postgres "$data" "$work/password"
  as_postgres "$programs/initdb" -D "$data" -U postgres --auth=scram-sha-256 --pwfile="$work/password" --locale=C.UTF-8 >/dev/null
  port=$(comm -23 <(seq 20000 29999) <(ss -Htnl | awk '{ sub(/.*:/, "", $4); print $4 }' | sort) | shuf -n 1)
  as_postgres "$programs/pg_ctl" -D "$data" -w -s -l "$data/log" \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off $*" start
  login=postgres:measure place=localhost:$port server=postgres://postgres:measure@localhost:$port/postgres
}

stop_own_server() {
  as_postgres "$programs/pg_ctl" -D "$data" -m fast stop >/dev/null 2>&1 || true
  rm -rf "$data"
  database=()
}

ask() { psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$server" -c "$1"; }

# The databases' names and URLs by the name that the measurement has for them: looked up while time is taken, so made before.
declare -A database url
# new_database NAME: empty, whatever there was.
new_database() {
  database[$1]=measure_${$}_$1
  url[$1]=${server%/*}/${database[$1]}
  PGOPTIONS="-c client_min_messages=warning" ask "DROP DATABASE IF EXISTS ${database[$1]} WITH (FORCE)"
  ask "CREATE DATABASE ${database[$1]}"
}

# project FOLDER DATABASE…: a whimbrel.toml; each database has its scripts in `flyway` and its URL in NAME_DATABASE_URL.
project() {
  local folder=$1 name
  shift
  printf '[project]\nname = "measure"\n[image]\nrepository = "measure/ours"\n' >"$folder/whimbrel.toml"
  for name; do
    printf '[databases.%s]\nlocations = ["flyway"]\nsecret = "%s-db"\nkeys = { url = "%s_DATABASE_URL" }\n' "$name" "$name" "${name^^}" >>"$folder/whimbrel.toml"
  done
}

# scripts COUNT: the same small scripts for every tool, each in its own spelling.
scripts() {
  local number text padded
  mkdir -p "$work"/{flyway,sqlx,refinery,dbmate}
  for number in $(seq 1 "$1"); do
    text="CREATE TABLE table_$number (id bigint PRIMARY KEY, name text NOT NULL, made timestamptz DEFAULT now());"
    padded=$(printf '%05d' "$number")
    echo "$text" | tee "$work/flyway/V${number}__table_$number.sql" "$work/sqlx/${padded}_table_$number.sql" >"$work/refinery/V${number}__table_$number.sql"
    printf -- '-- migrate:up\n%s\n\n-- migrate:down\n' "$text" >"$work/dbmate/${padded}_table_$number.sql"
  done
}

# peers NAME…: builds them where they are not, and remembers where they are.
declare -A program
peers() {
  local name
  "$testbed/programs.sh" "$@"
  for name; do program[$name]=$("$testbed/programs.sh" --path "$name"); done
}

# Nobody asks the server for TLS, which sqlx-cli as it is built here could not.
without_tls='?sslmode=disable'
run_whimbrel() { (cd "$work" && APP_DATABASE_URL=${url[whimbrel]}$without_tls exec "$migrate" migrate app); }
run_sqlx() { DATABASE_URL=${url[sqlx]} "${program[sqlx-cli]}" migrate run --source "$work/sqlx"; }
run_refinery() { REFINERY_URL=${url[refinery]} "${program[refinery]}" migrate -e REFINERY_URL -p "$work/refinery"; }
run_dbmate() { "${program[dbmate]}" --url "${url[dbmate]}$without_tls" --migrations-dir "$work/dbmate" --no-dump-schema migrate; }
run_waypoint() { (cd "$work" && exec "${program[waypoint]}" --url "${url[waypoint]}" --locations flyway migrate); }
run_flyway() {
  FLYWAY_URL=jdbc:postgresql://$place/${database[flyway]} FLYWAY_USER=${login%%:*} FLYWAY_PASSWORD=${login#*:} \
    "${program[flyway]}" -locations="filesystem:$work/flyway" migrate
}

# once NAME FILE: one run; its microseconds are added to the file.
once() {
  [ "$(type -t "prepare_$1")" != function ] || "prepare_$1"
  local began=${EPOCHREALTIME/[.,]/}
  "run_$1" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "$1 failed"; }
  echo $((${EPOCHREALTIME/[.,]/} - began)) >>"$2"
}

# take_rounds: a first run of each tool, then the rounds, each in an order of its own: what a tool leaves in the
# processor's caches meets every other.
take_rounds() {
  local name
  for name in "${tools[@]}"; do once "$name" "$work/first.$name"; done
  for _ in $(seq "$rounds"); do
    for name in $(shuf -e "${tools[@]}"); do once "$name" "$work/times.$name"; done
  done
}

median() { sort -n "$1" | awk '{ all[NR] = $1 } END { print NR % 2 ? all[(NR + 1) / 2] : (all[NR / 2] + all[NR / 2 + 1]) / 2 }'; }
milliseconds() { median "$1" | awk '{ printf "%.1f", $1 / 1000 }'; }

# ratio NAME: the median of ours / NAME, round by round.
ratio() {
  paste "$work/times.${tools[0]}" "$work/times.$1" | awk '{ printf "%.6f\n", $1 / $2 }' >"$work/ratios"
  median "$work/ratios" | awk '{ printf "%.4f", $1 }'
}

# report NAME: the table, or one line of JSON.
report() {
  local name separator=
  if [ -n "$json" ]; then
    printf '{"schema":1,"measure":"%s","rounds":%s,"tools":{' "$1" "$rounds"
    for name in "${tools[@]}"; do
      printf '%s"%s":{"median_ms":%s,"ours_to_it":%s}' "$separator" "$name" "$(milliseconds "$work/times.$name")" "$(ratio "$name")"
      separator=,
    done
    printf '}}\n'
  else
    printf '%-22s %12s %14s\n' "$1" 'median ms' 'ours to it'
    for name in "${tools[@]}"; do printf '%-22s %12s %14s\n' "$name" "$(milliseconds "$work/times.$name")" "$(ratio "$name")"; done
  fi
}
