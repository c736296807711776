"""Log files that are lines of JSON: written by the manager alone, read by anybody."""

from __future__ import annotations

INFERENCE = "inference.log"
"""One line for each request to a model."""
OPERATIONS = "metrics.log"
"""What was done with models, and what it took."""
SERVICE = "tricorn.log"
"""What the manager and the gateways have to say."""
FILES = (INFERENCE, OPERATIONS, SERVICE)
