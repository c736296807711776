"""A pull as a process of the manager's:

    python -m tricorn.hub  < one line of JSON (updates.Order), kept open

Standard output: one `updates.Update` a line. It ends when the pull does, or when the manager is
gone: nothing is lost by that, partial files are taken up by the next pull.
"""

from __future__ import annotations

import sys

import msgspec

from tricorn.errors import TricornError
from tricorn.hub import names
from tricorn.hub.updates import Failed, Order, Update
from tricorn.worker.parent import end_with_parent


def main() -> int:
    # Unbuffered: what ends us with the manager goes on reading the same descriptor.
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        line = stdin.readline()
    if not line:
        return 1
    order = msgspec.json.decode(line, type=Order)
    end_with_parent(0)
    # Imported here, after the lifeline is in place: huggingface_hub takes a while.
    from pathlib import Path

    from tricorn.hub.pull import pull

    try:
        pull(names.parse(order.name), Path(order.root), tell)
    except TricornError as error:
        tell(Failed(error.info()))
        return 1
    return 0


def tell(update: Update) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(update) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
