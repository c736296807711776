#!/bin/sh
# restart.sh [all]     stop.sh and start.sh; models are loaded anew
# restart.sh gateway   the gateway only, for changed code and settings: models stay, streams finish
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
need_install

case ${1:-all} in
    all)
        scripts/stop.sh && exec scripts/start.sh
        ;;
    gateway)
        # One that was started apart has its port for itself: nobody is served for a moment.
        if pid_of gateway; then scripts/stop.sh gateway && exec scripts/start.sh gateway; fi
        exec "$TRICORN" gateway restart
        ;;
    *) fail "usage: restart.sh [all | gateway]" ;;
esac
