"""`python -m tricorn.healthcheck`: exit code 0 where the server with these settings answers; for
what watches over it."""

from __future__ import annotations

import sys

from tricorn.commands.server_client import connect
from tricorn.errors import TricornError
from tricorn.settings.loading import load_settings


def main() -> int:
    """The exit code; what is wrong goes to stderr. The server is asked for no more than /health."""
    try:
        connect(load_settings(), url=None, key="").get("/health")
    except TricornError as error:
        print(f"tricorn: {error.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
