#!/bin/sh
# Have these Debian packages: packages.sh PURPOSE PACKAGE...
#
# Says what it installs and why before it does. Exit 0: they are there now. Exit 1: they are not;
# it has said what to do. Works on Debian and Ubuntu, as root or with sudo.
set -eu

purpose=$1
shift
missing=""
for package in "$@"; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) || state=""
    [ "$state" = installed ] || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

remedy="apt-get install$missing"
command -v apt-get >/dev/null || {
    echo "setup: no apt-get here; $purpose needs what Debian calls$missing" >&2
    exit 1
}
root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "setup: $purpose needs, as root: $remedy" >&2; exit 1; }
    root="sudo env"
fi
echo "setup: installing for $purpose:$missing"
export DEBIAN_FRONTEND=noninteractive
install() {
    # shellcheck disable=SC2086 -- words
    $root apt-get --quiet=2 --yes --no-install-recommends install $missing >/dev/null
}
# shellcheck disable=SC2086 -- words
install 2>/dev/null || { $root apt-get --quiet=2 update && install; } || {
    echo "setup: that failed; try it yourself, as root: apt-get update && $remedy" >&2
    exit 1
}
