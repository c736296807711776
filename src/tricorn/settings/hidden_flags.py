"""Flags whose values no list of processes may show: they go into the environment, which only the
process's own user reads. Standard library only."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

API_KEY = "--api-key"
SHORTEST = len("--ap")
"""argparse takes a flag by the beginning of its name, too."""
VARIABLE = "API_KEYS"
OF_COMMANDS = "TRICORN_API_KEY"
"""The key that commands send to a server."""


def hide(
    argv: Sequence[str], environ: MutableMapping[str, str], variable: str = VARIABLE
) -> list[str]:
    """The flags without `--api-key`; the keys replace those of the environment, as flags do.

    One without a value is left for argparse to speak of.
    """
    left: list[str] = []
    keys: list[str] = []
    flags = iter(argv)
    for flag in flags:
        if flag == "--":  # what follows is somebody else's
            left += [flag, *flags]
            break
        name, equals, value = flag.partition("=")
        if len(name) < SHORTEST or not API_KEY.startswith(name):
            left.append(flag)
        elif equals:
            keys.append(value)
        elif (following := next(flags, None)) is not None:
            keys.append(following)
        else:
            left.append(flag)
    if keys:
        environ[variable] = keys[-1] if variable == OF_COMMANDS else ",".join(keys)
    return left
