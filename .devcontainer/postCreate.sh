#!/bin/sh
# Puts the programs on PATH and asks `whimbrel doctor` what works here. Safe to run again at any time.
#
#   WHIMBREL_PREBUILT  folder with programs that were built elsewhere; they are copied
#   WHIMBREL_PREFIX    where they go (default /usr/local/bin, else ~/.local/bin)
set -eu

cd "$(dirname "$0")/.."
programs="whimbrel whimbrel-watch whimbrel-secrets whimbrel-migrate whimbrel-tail"

say() { echo "[postCreate] $*"; }

prefix() {
    if [ -n "${WHIMBREL_PREFIX:-}" ]; then
        echo "$WHIMBREL_PREFIX"
    elif [ -w /usr/local/bin ]; then
        echo /usr/local/bin
    else
        echo "$HOME/.local/bin"
    fi
}

# The folder that holds the front door: given, or built.
find_built() {
    for folder in "${WHIMBREL_PREBUILT:-build/bin}" target/*/release target/release; do
        if [ -x "$folder/whimbrel" ]; then
            echo "$folder"
            return 0
        fi
    done
    return 1
}

# Written beside and renamed: a program that is running is not written over.
install_program() {
    cp "$1" "$2.new.$$"
    chmod 0755 "$2.new.$$"
    mv -f "$2.new.$$" "$2"
}

built="$(find_built)" || {
    if ! command -v cargo >/dev/null 2>&1; then
        say "no program in ${WHIMBREL_PREBUILT:-build/bin}, none under target/, and no cargo to build one" >&2
        say "hint: on the host: cargo build --release --workspace --bins, or an image with Rust in it" >&2
        exit 1
    fi
    say "building the programs (some minutes, once)"
    packages=""
    for program in $programs; do packages="$packages --package $program"; done
    # shellcheck disable=SC2086 # one word an option
    cargo build --release --locked --bins $packages
    built="$(find_built)"
}

target="$(prefix)"
mkdir -p "$target"
for program in $programs; do
    if [ ! -x "$built/$program" ]; then
        continue
    elif cmp -s "$built/$program" "$target/$program"; then
        say "$program is up to date"
    else
        install_program "$built/$program" "$target/$program"
        say "$program installed from $built"
    fi
done

case ":$PATH:" in
    *":$target:"*) ;;
    *)
        line="export PATH=\"$target:\$PATH\""
        grep -qxF "$line" "$HOME/.profile" 2>/dev/null || echo "$line" >>"$HOME/.profile"
        PATH="$target:$PATH"
        ;;
esac

# Says what is there and what is not; ends with 0 when nothing but Docker or a cluster is missing.
whimbrel doctor
