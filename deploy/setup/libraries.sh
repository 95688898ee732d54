#!/bin/sh
# Have the shared libraries that the environment's mongod needs: libraries.sh ENVIRONMENT
#
# Nothing to do where another MongoDB is named, or where there is no such mongod.
set -eu

[ -n "${CORRAL_MONGODB_URL-}" ] && exit 0
mongod=$("$1/bin/python" -c 'from chassis.servers.mongod import find_mongod; print(find_mongod())' 2>/dev/null) || exit 0
command -v ldd >/dev/null || exit 0
holes=$(ldd "$mongod" 2>/dev/null | sed -n 's/^[[:space:]]*\([^ ]*\) => not found$/\1/p')
[ -z "$holes" ] && exit 0
packages=""
for library in $holes; do
    case $library in
        libcurl.so.4) packages="$packages libcurl4" ;;
        libssl.so.3 | libcrypto.so.3) packages="$packages libssl3" ;;
        liblzma.so.5) packages="$packages liblzma5" ;;
        *) echo "setup: mongod needs $library, which this system does not have" >&2; exit 1 ;;
    esac
done
# shellcheck disable=SC2046,SC2086 -- words
exec "$(dirname "$0")/packages.sh" "the private MongoDB" $(printf '%s\n' $packages | sort -u)
