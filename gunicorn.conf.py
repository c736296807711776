"""For `gunicorn -c gunicorn.conf.py 'tricorn.gateway.app:create_app()'` by hand, in here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from tricorn.gateway.http.gunicorn_conf import *  # noqa: F403 (gunicorn reads this module's names)
