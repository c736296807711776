#!/bin/sh
# start.sh [all]        Tricorn as a whole, in the background
# start.sh manager      the manager and the engines, without a gateway
# start.sh gateway      the gateway only; it uses the manager that runs, or brings one
# start.sh model NAME   load a model into the server that runs; further flags as `tricorn models load`
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

case ${1:-all} in
    all)
        start_as tricorn "$PYTHON" run.py --mode prod
        say "starting (process $pid); its output is in logs/tricorn.out"
        wait_for tricorn answers
        say "Tricorn answers"
        ;;
    manager)
        need_install
        start_as manager "$TRICORN" serve --mode prod --without-gateway
        wait_for manager grep -q "Manager  runs" logs/manager.out
        say "the manager runs (process $pid)"
        ;;
    gateway)
        need_install
        start_as gateway .venv/bin/gunicorn -c gunicorn.conf.py "tricorn.gateway.app:create_app()"
        wait_for gateway answers
        say "the gateway answers"
        ;;
    model)
        need_install
        [ -n "${2:-}" ] || fail "which model? start.sh model NAME"
        shift
        exec "$TRICORN" models load "$@"
        ;;
    *) fail "usage: start.sh [all | manager | gateway | model NAME]" ;;
esac
