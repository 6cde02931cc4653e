"""When calls began and ended, and how many of them waited for one another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

Span = tuple[float, float]


def read(file: Path) -> list[Span]:
    """The writes so far, by their beginning."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return sorted((float(begun), float(ended)) for begun, _, ended in (line.partition(" ") for line in lines))


def longest_chain(writes: Sequence[Span]) -> int:
    """The most writes of which each began after the one before had ended."""
    lengths: list[int] = []
    for number, (begun, _) in enumerate(writes):
        before = [lengths[other] for other in range(number) if writes[other][1] <= begun]
        lengths.append(1 + max(before, default=0))
    return max(lengths, default=0)
