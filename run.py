"""Start Tricorn from its source folder: `python run.py --mode dev`. Needs Python 3.11 or newer.

Makes `.venv` on the first run, then becomes the server. Written so that every Python, however old,
can read it and say what is wrong; the work is done by src/tricorn/launch.py.
"""

import os
import sys

OLDEST = (3, 11)


def main():
    if sys.version_info < OLDEST:
        sys.stderr.write(
            "Tricorn needs Python %d.%d or newer, and this is Python %d.%d (%s): install a newer "
            "one (from python.org, or `uv python install 3.12`) and start run.py with it, "
            "for example: python3.12 run.py --mode dev\n"
            % (OLDEST + sys.version_info[:2] + (sys.executable,))
        )
        return 1
    project = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, os.path.join(project, "src"))
    from tricorn import launch

    return launch.main(sys.argv[1:], project)


if __name__ == "__main__":
    sys.exit(main())
