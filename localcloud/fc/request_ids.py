"""Identifiers as Function Compute 3.0 forms them."""

from __future__ import annotations

import secrets
import time


def new_request_id() -> str:
    """For example `1-64f6cd87-1a2b3c4d-0123456789ab`; the first group is the Unix time in seconds."""
    return f"1-{int(time.time()):08x}-{secrets.randbits(32):08x}-{secrets.randbits(48):012x}"


def new_instance_id() -> str:
    """For example `c-6a9fbf89-173c38a5-fcb0e565fb65`."""
    return f"c-{int(time.time()):08x}-{secrets.randbits(32):08x}-{secrets.randbits(48):012x}"
