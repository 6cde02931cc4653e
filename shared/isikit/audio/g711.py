"""G.711 by table: the nearest code for every sample."""

from __future__ import annotations


def encode_mulaw(pcm: bytes) -> bytes:
    """s16le samples to mu-law codes, one byte a sample."""
    raise NotImplementedError


def encode_alaw(pcm: bytes) -> bytes:
    """s16le samples to A-law codes, one byte a sample."""
    raise NotImplementedError


def decode_mulaw(codes: bytes) -> bytes:
    """Mu-law codes to s16le samples."""
    raise NotImplementedError


def decode_alaw(codes: bytes) -> bytes:
    """A-law codes to s16le samples."""
    raise NotImplementedError
