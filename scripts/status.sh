#!/bin/sh
# status.sh [all]        the processes that start.sh has started, and the models; 1: no server answers
# status.sh gateway      whether the gateway answers
# status.sh model NAME   all that is known of a model
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
need_install

case ${1:-all} in
    all)
        for part in tricorn manager gateway; do
            if pid_of "$part"; then say "$part runs (process $pid)"; fi
        done
        exec "$TRICORN" models status
        ;;
    gateway)
        answers || exit 1
        say "the gateway answers"
        ;;
    model)
        [ -n "${2:-}" ] || fail "which model? status.sh model NAME"
        shift
        exec "$TRICORN" models show "$@"
        ;;
    *) fail "usage: status.sh [all | gateway | model NAME]" ;;
esac
