"""Headerless G.711, as telephone systems write it: read by the tenant's rule for its source, never by a guess.

Any bytes are G.711, so nothing can tell from them what they are. A file that begins like one of the kinds that have a
header is read as that, whatever the rule says: recorders are exchanged sooner than rules. Not so a bare MPEG frame: its
eleven bits of ones are a loud mu-law sample and a quiet one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isikit.audio import wav
from isikit.audio.sniff import container_of
from isikit.errors import AudioError

if TYPE_CHECKING:
    from isikit.tenants import Source


def is_headless(data: bytes, rule: Source) -> bool:
    """Whether the rule gives these bytes their meaning."""
    if rule.codec is None or not data:
        return False
    try:
        container = container_of(data[:64])
    except AudioError:
        return True
    return container == "mp3" and not data.startswith(b"ID3")


def with_header(data: bytes, rule: Source) -> bytes:
    """A WAV file of one channel around the bytes as they are; 8000 Hz where the rule does not say."""
    if rule.codec is None:
        raise TypeError("only a rule with a codec makes sense of headerless sound")
    return wav.write(data, rule.sample_rate_hz or 8000, encoding=rule.codec)
