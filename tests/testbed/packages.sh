#!/bin/bash
# packages.sh PART…: what the parts of tests/run need on this machine
#
# Debian packages that are missing are installed by root on Debian, and named otherwise. Tools that no
# package of the stable distribution has in a version that serves are only named. Ends with 2 when something is missing.
set -euo pipefail
# shellcheck source=tests/testbed/lib.sh
. "$(dirname "$0")/lib.sh"

# program-or-file:package, per need.
compile=(cc:gcc /usr/include/stdio.h:libc6-dev curl:curl openssl:openssl)
databases=(/usr/lib/postgresql/*/bin/postgres:postgresql mariadbd:mariadb-server mariadb:mariadb-client ip:iproute2)
images=(dockerd:docker.io docker-registry:docker-registry skopeo:skopeo busybox:busybox-static mmdebstrap:mmdebstrap)
node=(etcd:etcd-server containerd:containerd runc:runc /usr/lib/cni/bridge:containernetworking-plugins
  iptables:iptables conntrack:conntrack ethtool:ethtool socat:socat nsenter:util-linux pgrep:procps)

is_there() { # a program on the path (also an administrator's), or a file that may be a pattern
  case $1 in
    /*) compgen -G "$1" >/dev/null ;;
    *) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ;;
  esac
}

packages=() tools=()
package() {
  local need
  for need; do is_there "${need%:*}" || packages+=("${need##*:}"); done
}
tool() { # name, what is wanted, test…
  local name=$1 wanted=$2
  shift 2
  "$@" >/dev/null 2>&1 || tools+=("$name: $wanted")
}

major_of() { "$@" 2>&1 | sed 's/\x1b\[[0-9;]*m//g' | grep -Eo '[0-9]+(\.[0-9]+)*' | head -1; }
at_least() { # MAJOR[.MINOR] COMMAND…
  local wanted=$1 found
  shift
  command -v "$1" >/dev/null || return 1
  found=$(major_of "$@")
  [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -1)" = "$wanted" ]
}
go_tool() { tool Go '1.25 or newer, from https://go.dev/dl' at_least 1.25 go version; }
flyway_tools() {
  tool JDK '17 or newer (Debian: openjdk-17-jdk-headless)' at_least 17 java -version
  tool Maven '3 (Debian: maven)' at_least 3 mvn --version
}

package "${compile[@]}"
for part; do
  case $part in
    unit) ;;
    postgresql) package /usr/lib/postgresql/*/bin/postgres:postgresql setpriv:util-linux ;;
    mariadb) package mariadbd:mariadb-server mariadb:mariadb-client setpriv:util-linux ;;
    up) package "${databases[@]}" ;;
    chart) go_tool ;;
    database) package "${databases[@]}" "${images[@]}" pgbouncer:pgbouncer strace:strace; flyway_tools ;;
    image) package "${databases[@]}" "${images[@]}" ;;
    devcontainer) package "${databases[@]}" "${images[@]}"; tool Node '20 or newer with npm, from https://nodejs.org' at_least 20 node --version ;;
    *) package "${databases[@]}" "${images[@]}" "${node[@]}"; go_tool; flyway_tools ;;
  esac
done

missing() { # the list without repetitions
  printf '%s\n' "$@" | sort -u | tr '\n' ' '
}

# Packages start their services as they are installed; the testbed starts its own, on its own ports.
install() {
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q >&2
  # shellcheck disable=SC2046
  apt-get install -q -y --no-install-recommends $(missing "${packages[@]}") >&2
}

if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then
    note "testbed: installing $(missing "${packages[@]}")"
    log=$(mktemp)
    install 2>"$log" || { tail -20 "$log" >&2; unusable "cannot install $(missing "${packages[@]}")"; }
    rm -f "$log"
  else
    note "missing packages (names of Debian): $(missing "${packages[@]}")"
    tools+=('packages: install them, or run as root on Debian')
  fi
fi
if [ ${#tools[@]} -gt 0 ]; then
  note 'missing, and not for this script to fetch:'
  printf '  %s\n' "${tools[@]}" | sort -u >&2
  exit 2
fi
