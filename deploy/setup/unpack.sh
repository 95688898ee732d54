#!/bin/sh
# Put programs from Debian packages into a folder: unpack.sh FOLDER PACKAGE...
#
# Downloads the packages and unpacks them there. Nothing is installed, so no service starts, no port
# opens, and root is not needed. Their libraries must be on the machine already.
# Running it again on a finished folder does nothing.
set -eu

[ $# -ge 2 ] || { echo "usage: $0 FOLDER PACKAGE..." >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
[ "$(cat "$folder/.complete" 2>/dev/null)" = "$*" ] && exit 0
for tool in apt-get dpkg; do
    command -v "$tool" >/dev/null || { echo "$0: $tool not found; $* cannot be had" >&2; exit 1; }
done
work=$folder.new
rm -rf "$work"
mkdir -p "$work/debs" "$work/tree"
trap 'rm -rf "$work"' EXIT

# shellcheck source=deploy/setup/private-apt.sh
. "$(dirname "$0")/private-apt.sh"

packages=$*
fetch() {
    # shellcheck disable=SC2086 -- options and package names are words
    (cd "$work/debs" && apt-get $1 -o APT::Sandbox::User=root --quiet=2 download $packages)
}
fetch "" 2>/dev/null || {
    private_lists
    fetch "$private" || { echo "$0: apt cannot download $packages" >&2; exit 1; }
}
for package in "$work"/debs/*.deb; do
    dpkg -x "$package" "$work/tree"
done
rm -rf "${folder:?}"
mv "$work/tree" "$folder"
echo "$*" > "$folder/.complete"
