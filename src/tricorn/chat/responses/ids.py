"""Ids of responses and their items."""

from __future__ import annotations

import uuid


def new_id(prefix: str) -> str:
    """`resp_…`, `msg_…`, `rs_…`, `fc_…`"""
    return f"{prefix}_{uuid.uuid4().hex}"
