"""HKDF-SHA-256 gives what RFC 5869 says it gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from isikit.secrets import hkdf

SHARED = Path(__file__).parents[3] / "shared"


@pytest.mark.parametrize(
    ("secret", "salt", "info", "length", "expected"),
    [
        (
            b"\x0b" * 22,
            bytes(range(13)),
            bytes(range(0xF0, 0xFA)),
            42,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(range(0x50)),
            bytes(range(0x60, 0xB0)),
            bytes(range(0xB0, 0x100)),
            82,
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b836"
            "7793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            b"\x0b" * 22,
            b"",
            b"",
            42,
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
    ids=["A.1", "A.2", "A.3"],
)
def test_the_vectors_of_the_rfc(secret: bytes, salt: bytes, info: bytes, length: int, expected: str) -> None:
    assert hkdf(secret, salt, info, length).hex() == expected


def test_more_than_255_blocks_are_refused() -> None:
    assert len(hkdf(b"s", b"", b"", 255 * 32)) == 255 * 32
    with pytest.raises(ValueError, match="HKDF"):
        hkdf(b"s", b"", b"", 255 * 32 + 1)


def test_naming_a_prompt_does_not_load_cryptography() -> None:
    code = "import sys; from isikit.secrets import Keys; Keys(1, {1: bytes(32)}).url_key('acme'); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(SHARED)}, capture_output=True, text=True, check=True
    )
    assert "cryptography" not in loaded.stdout.split()
