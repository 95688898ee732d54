#!/bin/sh
# Have apt know today's packages, from which the demo guest is built: package-lists.sh CACHE
#
# Nothing to do where apt is not, or where CACHE has the packages already. Never fails: whoever
# builds the guest says what is missing.
set -eu

[ -e "$1/packages.json" ] && exit 0
command -v apt-get >/dev/null || exit 0
known=$(apt-cache policy busybox-static 2>/dev/null | sed -n 's/^  Candidate: //p')
fresh=$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime -1 2>/dev/null | head -n 1)
[ -n "$known" ] && [ "$known" != "(none)" ] && [ -n "$fresh" ] && exit 0

root=""
if [ "$(id -u)" != 0 ]; then
    root="sudo -n"
    $root true 2>/dev/null || {
        echo "setup: apt's package lists are old; should the demo guest fail: sudo apt-get update" >&2
        exit 0
    }
fi
echo "setup: refreshing apt's package lists for the demo guest"
$root apt-get --quiet=2 -o Acquire::Retries=1 -o Acquire::http::Timeout=20 update ||
    echo "setup: that failed; going on with what apt knows" >&2
