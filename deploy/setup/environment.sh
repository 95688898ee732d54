#!/bin/sh
# Make or renew the environment: environment.sh PYTHON ENVIRONMENT REQUIREMENTS
#
# Plain pip, hashes checked. The members of the workspace are installed in place. Nothing happens
# when neither the requirements nor a member's metadata have changed since the last time.
set -eu

python=$1 environment=$2 requirements=$3
stamp=$environment/.$(basename "$requirements" .txt)
members="libs/contracts libs/chassis libs/client services/api-gateway services/scheduler
    services/registry services/event-pusher services/node-agent deploy/embedded"

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

command -v "$python" >/dev/null || fail "$python not found; Python 3.11 or newer is needed (make PYTHON=…)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or newer is needed, but $python is $("$python" -V 2>&1); name another one: make PYTHON=…"

if [ ! -x "$environment/bin/python" ]; then
    say "making the environment $environment"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "Python's venv is missing; on Debian and Ubuntu: apt-get install python3-venv"
    "$python" -m venv "$environment"
fi

wanted=$(cat "$requirements" $(printf '%s/pyproject.toml ' $members) | cksum)
[ "$(cat "$stamp" 2>/dev/null)" = "$wanted $(pwd)" ] && exit 0

"$environment/bin/python" -c 'import pip' 2>/dev/null || "$environment/bin/python" -m ensurepip >/dev/null
pip="$environment/bin/python -m pip --disable-pip-version-check --quiet"
say "installing $requirements"
$pip install --require-hashes -r "$requirements"
say "installing the services"
$pip install --no-deps --no-build-isolation $(printf -- '-e %s ' $members)
echo "$wanted $(pwd)" > "$stamp"
