"""`scripts/bench NAME ...`: runs one benchmark."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = ("audio", "leases", "localcloud", "prompts", "rush", "transcripts")
"""Modules of this folder with a `main(arguments)`; the others are what they measure with."""


def main() -> None:
    """Entry point: the first argument is one of `BENCHMARKS`."""
    if len(sys.argv) < 2 or sys.argv[1] not in BENCHMARKS:
        sys.exit(f"usage: scripts/bench {{{','.join(BENCHMARKS)}}} [--help]")
    sys.exit(importlib.import_module(f"ops.bench.{sys.argv[1]}").main(sys.argv[2:]))


if __name__ == "__main__":
    main()
