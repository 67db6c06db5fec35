#!/bin/bash
# images.sh NAME…: images that the testbed makes itself; no public registry is asked
#
#   pause          localhost:5000/testbed/pause:1       a program that waits, for the node's pods
#   busybox        localhost:5000/testbed/busybox:1     a shell with small tools
#   postgres       whimbrel-testbed/postgres:15         in the Docker engine, for testcontainers
#   mysql          whimbrel-testbed/mysql:9             in the Docker engine, for testcontainers
#   devcontainer   whimbrel-testbed/devcontainer:1      in the Docker engine, Debian with git, for .devcontainer/
#
# Needs the Docker engine and the registry of servers.sh.
set -euo pipefail
# shellcheck source=tests/testbed/lib.sh
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pushed() { curl -sf "http://$registry_push/v2/$1/manifests/1" -o /dev/null -H 'Accept: application/vnd.docker.distribution.manifest.v2+json'; }
loaded() { docker image inspect "$1" >/dev/null 2>&1; }
# The legacy builder says on every run that it is old.
docker_build() {
  local said
  said=$(DOCKER_BUILDKIT=0 docker build -q -t "$1" "$work" 2>&1) || fail "cannot build $1: $said"
}

make_pause() {
  pushed testbed/pause && return
  cat >"$work/pause.c" <<'C'
#include <signal.h>
#include <unistd.h>
static void leave(int signal) { (void)signal; _exit(0); }
int main(void) {
  signal(SIGINT, leave);
  signal(SIGTERM, leave);
  signal(SIGCHLD, SIG_IGN); /* orphans of the pod are reaped by the kernel */
  for (;;) pause();
}
C
  cc -static -Os -o "$work/pause" "$work/pause.c"
  printf 'FROM scratch\nCOPY pause /\nUSER 65535:65535\nENTRYPOINT ["/pause"]\n' >"$work/Dockerfile"
  docker_build $registry_push/testbed/pause:1
  docker push -q $registry_push/testbed/pause:1 >/dev/null
}

make_busybox() {
  pushed testbed/busybox && return
  cp /bin/busybox "$work/"
  printf 'FROM scratch\nCOPY busybox /bin/busybox\nENV PATH=/bin\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\nCMD ["sh"]\n' >"$work/Dockerfile"
  docker_build $registry_push/testbed/busybox:1
  docker push -q $registry_push/testbed/busybox:1 >/dev/null
}

# debian NAME PACKAGES [HOOK…]: a small Debian of this machine's release and mirror.
debian() {
  local image=$1 packages=$2 release
  shift 2
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mmdebstrap --quiet --variant=minbase --include="$packages" "$@" "$release" - 2>"$work/log" |
    docker import - "$image" >/dev/null || { cat "$work/log" >&2; fail "cannot make $image"; }
}

make_postgres() {
  loaded whimbrel-testbed/postgres:15 && return
  debian whimbrel-testbed/postgres:base postgresql
  cat >"$work/serve" <<'SCRIPT'
#!/bin/bash
set -e
bin=$(echo /usr/lib/postgresql/*/bin)
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
install -d -o postgres /data
install -o postgres -m 600 /dev/stdin /password <<<"${POSTGRES_PASSWORD:-postgres}"
as_postgres "$bin/initdb" -D /data -U postgres --auth=scram-sha-256 --pwfile=/password --locale=C.UTF-8 >/dev/null
echo 'host all all all scram-sha-256' >>/data/pg_hba.conf
exec setpriv --reuid=postgres --regid=postgres --clear-groups "$bin/postgres" -D /data -c 'listen_addresses=*' -c unix_socket_directories=/tmp
SCRIPT
  chmod 755 "$work/serve"
  printf 'FROM whimbrel-testbed/postgres:base\nCOPY serve /serve\nEXPOSE 5432\nENTRYPOINT ["/serve"]\n' >"$work/Dockerfile"
  docker_build whimbrel-testbed/postgres:15
}

# Only the unstable release has MySQL; its index may be older than it allows itself to be.
make_mysql() {
  loaded whimbrel-testbed/mysql:9 && return
  mmdebstrap --quiet --variant=minbase --include=mysql-server --aptopt='Acquire::Check-Valid-Until "false"' sid - 2>"$work/log" |
    docker import - whimbrel-testbed/mysql:base >/dev/null || { cat "$work/log" >&2; fail 'cannot make whimbrel-testbed/mysql:9'; }
  cat >"$work/serve" <<'SCRIPT'
#!/bin/bash
set -e
install -d -o mysql -g mysql /data /run/mysqld
mysqld --no-defaults --initialize-insecure --user=mysql --datadir=/data
printf '%s\n' "CREATE USER root@'%' IDENTIFIED BY '${MYSQL_ROOT_PASSWORD:-root}';" "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;" >/init.sql
chmod 644 /init.sql
exec mysqld --no-defaults --user=mysql --datadir=/data --init-file=/init.sql --bind-address=0.0.0.0 --mysqlx=OFF --skip-log-bin
SCRIPT
  chmod 755 "$work/serve"
  printf 'FROM whimbrel-testbed/mysql:base\nCOPY serve /serve\nEXPOSE 3306\nENTRYPOINT ["/serve"]\n' >"$work/Dockerfile"
  docker_build whimbrel-testbed/mysql:9
}

make_devcontainer() {
  loaded whimbrel-testbed/devcontainer:1 || debian whimbrel-testbed/devcontainer:1 bash,ca-certificates,git,procps
}

[ $# -gt 0 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
for image; do "make_$image"; done
