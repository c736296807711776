# Read by the other scripts here: where things are, and how a process is started and ended.
# Settings come from the environment, .env and tricorn.yaml, as for run.py.

cd "$(dirname "$0")/.." || exit 1
PYTHON=${PYTHON:-python3}
TRICORN=.venv/bin/tricorn
PIDS=run
pid=

say() { printf '%s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }

# The process that was started as $1; false where it runs no more.
pid_of() {
    [ -r "$PIDS/$1.pid" ] || return 1
    read -r pid < "$PIDS/$1.pid"
    [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && ! is_zombie "$pid"
}

is_zombie() { [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]; }

need_install() { [ -x "$TRICORN" ] || fail "nothing is installed yet: scripts/start.sh does that"; }

# start_as NAME COMMAND...: in the background, its output in logs/NAME.out.
start_as() {
    name=$1; shift
    if pid_of "$name"; then fail "$name runs already (process $pid)"; fi
    mkdir -p "$PIDS" logs
    nohup "$@" > "logs/$name.out" 2>&1 < /dev/null &
    pid=$!
    echo "$pid" > "$PIDS/$name.pid"
}

# wait_for NAME COMMAND...: until the command succeeds; fails where the process ends before.
wait_for() {
    name=$1; shift
    until "$@" > /dev/null 2>&1; do
        pid_of "$name" || { tail -n 5 "logs/$name.out" >&2; fail "$name has not started"; }
        sleep 1
    done
}

# Whether the gateway does. `models status` would need a key where there are any, and not every
# server has one that commands on its machine may read.
answers() { .venv/bin/python -m tricorn.healthcheck; }

# stop_as NAME: as Tricorn ends by itself, finishing what runs; its own time-outs bound it.
stop_as() {
    if ! pid_of "$1"; then
        rm -f "$PIDS/$1.pid"
        say "$1 does not run"
        return 0
    fi
    kill -TERM "$pid"
    while pid_of "$1"; do sleep 0.2; done
    rm -f "$PIDS/$1.pid"
    say "$1 has stopped"
}
