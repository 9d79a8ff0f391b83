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
flock --nonblock 9 || { echo "Another run is using $state" >&2; exit 75; }
[ -s "$state" ] || echo '{}' > "$state"

# Store each complete STATE line as soon as the target emits it, that is, after loading what it covers.
keep() {
    while IFS= read -r line; do
        printf '%s\n' "$line" > "$state.new"
        mv "$state.new" "$state"
    done
}

# Only the tap handles SIGTERM: it ends after a complete line; then the target loads the rest and ends.
trap : TERM
tap-callcap --config=ENV --state="$state" | setsid --wait "$@" | { trap '' TERM; keep; }
