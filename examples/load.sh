#!/usr/bin/env bash
# Run the tap into a target once and keep the bookmark in the file STATE; for cron, Airflow and others.
#
#   load.sh STATE TARGET [OPTION…]
#
# The tap's settings come from the environment (TAP_CALLCAP_…). If another run still uses STATE, exit 75.
set -euo pipefail
state=$1
shift

mkdir -p "$(dirname "$state")"
exec 9>> "$state.lock"
if command -v flock > /dev/null; then
    flock -n 9
else # macOS
    perl -e 'use Fcntl ":flock"; open my $lock, ">&=", 9; exit !flock $lock, LOCK_EX | LOCK_NB'
fi || { echo "Another run is using $state" >&2; exit 75; }
[ -s "$state" ] || echo '{}' > "$state"

# Store each complete STATE line as soon as the target emits it, that is, after loading what it covers.
keep() {
    while IFS= read -r line; do
        printf '%s\n' "$line" > "$state.new"
        mv "$state.new" "$state"
    done
}

# Only the tap is told of a signal: it ends after a complete line; then the target loads the rest and ends.
# So each of them runs in a process group of its own, which a signal to this script's group does not reach.
set -m
stopped=
trap 'stopped=yes' TERM INT HUP
folder=$(mktemp -d "${TMPDIR:-/tmp}/load.XXXXXX")
trap 'rm -rf "$folder"' EXIT
mkfifo "$folder/pipe"
{ "$@" < "$folder/pipe" | keep; } &
load=$!
tap-callcap --config=ENV --state="$state" > "$folder/pipe" &
tap=$!
trap 'stopped=yes; kill -TERM "$tap" 2> /dev/null || :' TERM INT HUP
if [ -n "$stopped" ]; then kill -TERM "$tap"; fi

# A signal ends `wait` early.
ended() {
    while :; do
        stopped=
        code=0
        wait "$1" || code=$?
        [ -n "$stopped" ] || return "$code"
    done
}
ended "$tap" && tap_code=0 || tap_code=$?
ended "$load" && load_code=0 || load_code=$?
[ "$tap_code" = 0 ] && exit "$load_code"
exit "$tap_code"
