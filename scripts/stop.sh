#!/bin/sh
# stop.sh [all]        what start.sh has started, as a whole or in parts; requests finish first
# stop.sh manager      the manager with its engines, where it was started alone
# stop.sh gateway      the gateway only; a manager that was started alone keeps its models
# stop.sh model NAME   take a model out of memory
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

case ${1:-all} in
    all)
        stop_as tricorn
        for part in gateway manager; do
            if [ -e "$PIDS/$part.pid" ]; then stop_as "$part"; fi
        done
        ;;
    manager | gateway) stop_as "$1" ;;
    model)
        need_install
        [ -n "${2:-}" ] || fail "which model? stop.sh model NAME"
        shift
        exec "$TRICORN" models unload "$@"
        ;;
    *) fail "usage: stop.sh [all | manager | gateway | model NAME]" ;;
esac
