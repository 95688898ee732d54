#!/bin/sh
# Put a private RabbitMQ into a folder: unpack-rabbitmq.sh FOLDER
#
# Downloads the distribution's packages of RabbitMQ and Erlang and unpacks them there. Nothing is
# installed: no service starts, no port opens, root is not needed. Debian 12 and 13, Ubuntu 24.04.
# The folder may be moved afterwards. Running it again on a finished folder does nothing.
set -eu

[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
for tool in apt-get apt-cache dpkg; do
    command -v "$tool" >/dev/null || {
        echo "$0: $tool not found; install RabbitMQ yourself (start script in PATH)" >&2
        exit 1
    }
done
mkdir -p "$1"
folder=$(cd "$1" && pwd)
done_mark=$folder/.complete
[ -e "$done_mark" ] && exit 0
work=$folder.new
rm -rf "$work"
mkdir -p "$work/debs/partial" "$work/tree"
trap 'rm -rf "$work"' EXIT

# shellcheck source=deploy/setup/private-apt.sh
. "$(dirname "$0")/private-apt.sh"

# Erlang and RabbitMQ in any case (an installed Erlang is not in the tree), and those libraries
# which this machine lacks.
closure() {
    apt-cache $1 depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
        --no-replaces --no-enhances rabbitmq-server |
        sed -n 's/^\(rabbitmq-server\|erlang-[a-z0-9-]*\)$/\1/p'
    apt-get $1 --simulate --no-install-recommends install rabbitmq-server 2>/dev/null |
        sed -n 's/^Inst \(lib[^ ]*\) .*/\1/p'
}

fetch() {
    packages=$(closure "$1" | sort -u)
    case $packages in
        *rabbitmq-server*) ;;
        *) return 1 ;;
    esac
    # shellcheck disable=SC2086 -- options and package names are words
    (cd "$work/debs" && apt-get $1 -o APT::Sandbox::User=root --quiet=2 download $packages)
}

if ! fetch ""; then
    private_lists
    fetch "$private" || { echo "$0: no package rabbitmq-server in reach of apt" >&2; exit 1; }
fi

for package in "$work"/debs/*.deb; do
    dpkg -x "$package" "$work/tree"
done

# Erlang's start script names the folder it was packaged for; let it look where it stands.
erl=$work/tree/usr/lib/erlang/bin/erl
here='ROOTDIR="$(cd "$(dirname "$(readlink -f "$0")")/.." \&\& pwd)"'
sed -i "s|^ *ROOTDIR=.*|$here|" "$(readlink -f "$erl")"

rm -rf "${folder:?}"
mv "$work/tree" "$folder"
touch "$folder/.complete"
echo "RabbitMQ unpacked into $folder"
