"""`scripts/bench NAME ...`: runs one benchmark."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_NO_BENCHMARKS = {"__init__", "__main__", "bare", "load", "over_tls", "servers", "usual"}


def main() -> None:
    """Entry point: the first argument is a module of this folder with a `main(arguments)`."""
    names = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem not in _NO_BENCHMARKS)
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        sys.exit(f"usage: scripts/bench {{{','.join(names)}}} [--help]")
    sys.exit(importlib.import_module(f"ops.bench.{sys.argv[1]}").main(sys.argv[2:]))


if __name__ == "__main__":
    main()
