# Sourced by unpack.sh and unpack-rabbitmq.sh: apt with package lists of its own below $work, so
# that it needs no root and leaves no trace. Its options are in $private; words, to be split.
private="-o Dir::State::lists=$work/lists -o Dir::Cache=$work/cache -o APT::Sandbox::User=root"

private_lists() {
    mkdir -p "$work/lists/partial" "$work/cache"
    echo "refreshing package lists into $work" >&2
    # shellcheck disable=SC2086 -- options are words
    apt-get $private --quiet=2 update
}
