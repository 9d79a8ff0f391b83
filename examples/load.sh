#!/usr/bin/env bash
# One run of the tap into a target, with the bookmark kept in a file; for cron, Airflow and others.
#
#   load.sh STATE TARGET [OPTION…]
#
# The tap's settings come from TAP_CALLCAP_… A run that is still at the same STATE is left alone.
set -euo pipefail
state=$1
shift

mkdir -p "$(dirname "$state")"
exec 9>> "$state.lock"
flock --nonblock 9 || { echo "Another run is at $state" >&2; exit 75; }
[ -s "$state" ] || echo '{}' > "$state"

# Whole lines alone, each as soon as the target has loaded what it covers.
keep() {
    while IFS= read -r line; do
        printf '%s\n' "$line" > "$state.new"
        mv "$state.new" "$state"
    done
}

# SIGTERM is for the tap: it ends with whole lines, and then the target loads them and ends too.
trap : TERM
tap-callcap --config=ENV --state="$state" | setsid --wait "$@" | { trap '' TERM; keep; }
