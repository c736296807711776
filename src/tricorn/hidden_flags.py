"""Flags whose values no list of processes may show: they go into the environment, which only the
process's own user reads. Standard library only."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

API_KEY = "--api-key"
VARIABLE = "API_KEYS"


def hide(argv: Sequence[str], environ: MutableMapping[str, str]) -> list[str]:
    """The flags without `--api-key`; the keys replace those of the environment, as flags do.

    One without a value is left for argparse to speak of.
    """
    left: list[str] = []
    keys: list[str] = []
    flags = iter(argv)
    for flag in flags:
        if flag == "--":  # what follows is somebody else's
            left += [flag, *flags]
        elif flag.startswith(f"{API_KEY}="):
            keys.append(flag.partition("=")[2])
        elif flag == API_KEY:
            value = next(flags, None)
            if value is None:
                left.append(flag)
            else:
                keys.append(value)
        else:
            left.append(flag)
    if keys:
        environ[VARIABLE] = ",".join(keys)
    return left
