#!/bin/bash
# servers.sh up [NAME…] | down [NAME…] | status: servers on the host side of the testbed (default: all of them)
#
#   postgres   127.0.0.1:55432 and 10.201.0.1:55432, user postgres, password postgres
#   postgres17 127.0.0.1:55433, user postgres, password postgres; started by name only (programs.sh builds it)
#   mariadb    127.0.0.1:33306, user root, password root
#   docker     unix:///var/run/docker.sock; an engine that answers already is used, and not stopped
#   registry   one storage behind two front ends: pushed to as localhost:5000,
#              pulled from as k3d-dev-reg:5000, which is 10.201.0.1:5000 to the node
#
# Needs root and the packages of packages.sh.
set -euo pipefail
# shellcheck source=tests/testbed/lib.sh
. "$(dirname "$0")/lib.sh"

bridge() {
  ip link show wb0 >/dev/null 2>&1 && return
  ip link add wb0 type bridge
  ip addr add $host_address/24 dev wb0
  ip link set wb0 up
}

# A port that somebody else holds gives tests that talk to the wrong server.
free_or_ours() { # NAME ADDRESS PORT
  runs "$1" && return
  if (exec 3<>"/dev/tcp/$2/$3") 2>/dev/null; then
    fail "something that this testbed did not start listens on $2:$3 (wanted for $1)"
  fi
}

as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }

up_postgres() {
  free_or_ours postgres 127.0.0.1 $postgres_port
  runs postgres && return
  local bin data=$state/postgres
  bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
  if [ ! -f "$data/PG_VERSION" ]; then
    install -d -o postgres -g postgres "$data"
    # --pwfile reads what the postgres user may read, and that is not root's pipe.
    install -m 644 /dev/stdin "$state/postgres.password" <<<postgres
    as_postgres "$bin/initdb" -D "$data" -U postgres --auth=scram-sha-256 --pwfile="$state/postgres.password" --locale=C.UTF-8 >/dev/null
    echo "host all all $host_address/24 scram-sha-256" >>"$data/pg_hba.conf"
  fi
  # Not durable against a crash of the machine, which no test causes; whole suites are faster.
  start postgres setpriv --reuid=postgres --regid=postgres --clear-groups "$bin/postgres" -D "$data" -p $postgres_port \
    -c unix_socket_directories="$data" -c listen_addresses="127.0.0.1,$host_address" -c max_connections=300 -c fsync=off
  until_answers 120 PostgreSQL "$bin/pg_isready" -q -h 127.0.0.1 -p $postgres_port
}

# Its programs are in the cache of a user whose files the server's own user may not read.
up_postgres17() {
  free_or_ours postgres17 127.0.0.1 $postgres17_port
  runs postgres17 && return
  local programs=$state/postgres17-programs data=$state/postgres17
  if [ ! -f "$data/PG_VERSION" ]; then
    rm -rf "$programs" "$data"
    cp -r "$(dirname "$("$testbed/programs.sh" --path postgres17)")/.." "$programs"
    chmod -R a+rX "$programs"
    install -d -o postgres -g postgres "$data"
    install -m 644 /dev/stdin "$state/postgres17.password" <<<postgres
    as_postgres "$programs/bin/initdb" -D "$data" -U postgres --auth=scram-sha-256 --pwfile="$state/postgres17.password" --encoding=UTF8 --locale=C.UTF-8 >/dev/null
  fi
  start postgres17 setpriv --reuid=postgres --regid=postgres --clear-groups "$programs/bin/postgres" -D "$data" -p $postgres17_port \
    -c unix_socket_directories="$data" -c listen_addresses=127.0.0.1 -c max_connections=100 -c fsync=off
  until_answers 60 'PostgreSQL 17' env PGPASSWORD=postgres psql -X -h 127.0.0.1 -p $postgres17_port -U postgres -c 'SELECT 1'
}

up_mariadb() {
  free_or_ours mariadb 127.0.0.1 $mariadb_port
  runs mariadb && return
  local data=$state/mariadb
  if [ ! -d "$data/mysql" ]; then
    install -d -o mysql -g mysql "$data"
    mariadb-install-db --no-defaults --user=mysql --datadir="$data" --skip-test-db --auth-root-authentication-method=normal >/dev/null
    # The init file takes one statement a line.
    printf '%s\n' "CREATE USER IF NOT EXISTS 'root'@'127.0.0.1';" "SET PASSWORD FOR 'root'@'127.0.0.1' = PASSWORD('root');" \
      "GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;" >"$state/mariadb.sql"
    chmod 644 "$state/mariadb.sql"
  fi
  start mariadb mariadbd --no-defaults --user=mysql --datadir="$data" --port=$mariadb_port --bind-address=127.0.0.1 --skip-name-resolve \
    --socket="$data/socket" --pid-file="$data/pid" --init-file="$state/mariadb.sql" --character-set-server=utf8mb4 \
    --innodb-flush-log-at-trx-commit=0
  until_answers 120 MariaDB mariadb --no-defaults -h 127.0.0.1 -P $mariadb_port -u root -proot -e 'SELECT 1'
}

up_docker() {
  if ! docker info >/dev/null 2>&1; then
    start docker dockerd --host unix:///var/run/docker.sock --data-root "$state/docker" --exec-root "$state/docker-run" --pidfile "$state/dockerd.pid"
  fi
  until_answers 120 'the Docker engine' docker info
}

up_registry() {
  local address name
  for address in 127.0.0.1 $host_address; do
    name=registry-$address
    free_or_ours "$name" "$address" 5000
    runs "$name" && continue
    cat >"$state/$name.yml" <<YAML
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $state/registry}, delete: {enabled: true}}
http: {addr: "$address:5000"}
YAML
    start "$name" docker-registry serve "$state/$name.yml"
    until_answers 30 "the registry on $address" curl -sf "http://$address:5000/v2/"
  done
}

up() {
  [ "$(id -u)" = 0 ] || unusable 'the servers of the testbed need root'
  local name
  for name; do
    declare -F "up_$name" >/dev/null || unusable "no server is called $name; there are: postgres postgres17 mariadb docker registry"
  done
  mkdir -p "$state"
  chmod 755 "$state"
  bridge
  for name in "${@:-postgres mariadb docker registry}"; do for name in $name; do "up_$name"; done; done
}

# Data goes with its server: every test makes what it needs.
down_postgres() { stop postgres; rm -rf "$state/postgres" "$state/postgres.password"; }
down_postgres17() { stop postgres17; rm -rf "$state"/postgres17 "$state/postgres17.password" "$state/postgres17-programs"; }
down_mariadb() { stop mariadb; rm -rf "$state/mariadb" "$state/mariadb.sql"; }
down_docker() {
  stop docker
  # What the engine leaves mounted when it ends before a container's network does.
  { findmnt -rno TARGET | grep "^$state/docker" || true; } | sort -r | xargs -r umount --lazy
  rm -rf "$state/docker" "$state/docker-run"
}
down_registry() {
  stop registry-127.0.0.1
  stop registry-$host_address
  rm -rf "$state/registry" "$state"/registry-*.yml
}

down() {
  local name
  for name in "${@:-postgres postgres17 mariadb registry docker}"; do
    for name in $name; do [ "$name" = node ] || "down_$name"; done
  done
  [ -s "$state/holder" ] || runs postgres || runs registry-$host_address || ip link del wb0 2>/dev/null || true
}

status() {
  local name
  for name in postgres postgres17 mariadb docker registry-127.0.0.1 registry-$host_address; do
    if runs "$name"; then echo "$name: up"; else echo "$name: not started here"; fi
  done
}

case ${1:-} in
  up) up "${@:2}" ;;
  down) down "${@:2}" ;;
  status) status ;;
  *) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
